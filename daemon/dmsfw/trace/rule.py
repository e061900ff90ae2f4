"""One rule: its words become tests and a target when a packet first comes to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dmsfw.trace.answer import NO, YES, Answer, unknown
from dmsfw.trace.matches import Option, Test, builtin, extension
from dmsfw.trace.packet import Family, Packet
from dmsfw.trace.scene import Scene
from dmsfw.trace.tokens import words

ENDS_A_MATCH = frozenset({"-m", "-j", "-g"})

COUNTS = {"--comment": 1, "--match-set": 2, "--string": 1, "--hex-string": 1}
"""Options whose values may look like anything, and how many they take."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a rule does, and says of itself."""

    target: str = ""
    options: tuple[str, ...] = ()
    goto: bool = False
    comment: str = ""


class Rule:
    """A rule as it stands: its number in its chain (from 1), its text without counters, and its packets."""

    __slots__ = ("_reader", "_tests", "family", "number", "packets", "text")

    def __init__(self, family: Family, number: int, text: str, packets: int) -> None:
        self.family = family
        self.number = number
        self.text = text
        self.packets = packets
        self._tests: list[Test] = []
        self._reader: Reader | None = None

    @property
    def parsed(self) -> Parsed:
        """What all of its words say. A rule that is not understood has a target that nobody knows."""
        reader = self._read()
        while reader.parsed is None:
            reader.step()
        return reader.parsed

    def answer(self, packet: Packet, scene: Scene) -> Answer:
        """Whether the packet matches all of it. Its words are read as far as they are needed for that."""
        result = YES
        at = 0
        while at < len(self._tests) or self._more(at):
            answer = self._tests[at](packet, scene)
            if answer.matches is False:
                return NO
            if answer.why and (result is YES or result.matches):
                result = answer
            at += 1
        return result

    def _read(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self.text, self.family, self._tests)
        return self._reader

    def _more(self, wanted: int) -> bool:
        """Read on until there are more tests than `wanted`, or no more words."""
        reader = self._read()
        while reader.parsed is None and len(self._tests) <= wanted:
            reader.step()
        return len(self._tests) > wanted


class Reader:
    """Takes the words behind `-A CHAIN` one after another: `tests` grows, and in the end `parsed` is there.

    The words before the first quoted one are split at once; most rules need no others to be told from a packet.
    """

    def __init__(self, text: str, family: Family, tests: list[Test]) -> None:
        head, quote, tail = text.partition(' "')
        self._words = head.split()
        self._tail = quote + tail
        self._at = 2
        self._family = family
        self._tests = tests
        self._comment = ""
        self.parsed: Parsed | None = None

    def step(self) -> None:
        """Read one more option. What is not understood may match or not, and may do anything."""
        try:
            self._step()
        except (ValueError, OSError, IndexError) as error:
            why = f"this rule is not understood ({error})"
            self._tests.append(lambda *_: unknown(why))
            self.parsed = Parsed("not understood", comment=self._comment)

    def _step(self) -> None:
        if not self._has_more():
            self.parsed = Parsed(comment=self._comment)
            return
        word = self._next()
        invert = word == "!"
        if invert:
            word = self._next()
        if word in {"-j", "-g"}:
            target = self._next()
            self._has_more(whole=True)
            self.parsed = Parsed(target, tuple(self._words[self._at :]), word == "-g", self._comment)
        elif word == "-m":
            self._match(self._next())
        else:
            value = "" if word == "-f" else self._next()
            self._tests.append(builtin(word, value, self._family, invert=invert))

    def _match(self, name: str) -> None:
        options = list(self._options())
        if name == "comment" and options and options[0].values:
            self._comment = options[0].values[0]
        else:
            self._tests.extend(extension(name, options, self._family))

    def _options(self) -> Iterator[Option]:
        """The options of a match: an option's values reach up to the next word with a dash."""
        while self._has_more() and self._words[self._at] not in ENDS_A_MATCH:
            invert = self._words[self._at] == "!"
            self._at += invert
            name = self._next()
            values = [self._next() for _ in range(COUNTS.get(name, 0))]
            while name not in COUNTS and self._has_more() and not self._words[self._at].startswith(("-", "!")):
                values.append(self._next())
            yield Option(name, tuple(values), invert)

    def _next(self) -> str:
        if not self._has_more():
            raise ValueError("it breaks off")
        self._at += 1
        return self._words[self._at - 1]

    def _has_more(self, *, whole: bool = False) -> bool:
        """Whether there is another word. Raises: ValueError for quotes that do not fit."""
        if self._tail and (whole or self._at >= len(self._words)):
            tail, self._tail = self._tail, ""
            self._words += words(tail)
        return self._at < len(self._words)
