"""firewall4's table: wiped, loaded anew, edited, its include files taken away and brought back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.chaos.faults.firewall import damaged, removed_again
from tests.chaos.faults.kind import fault
from tests.chaos.patient import Patient

STRAY = 'comment \\"dmsfw:0123456789ab smtps: somebody\\"'
HANDLE = 'handle() { nft -a list chain inet fw4 $1 | sed -n "s/.*jump dmsfw1_$1 .*# handle //p"; }\n'
FORWARD = 'ct state new jump dmsfw1_forward comment \\"dmsfw: networks of Docker\\"'
DROP = "nft delete rule inet fw4 {0} handle $(handle {0})"
OTHER_VERSION = """nft -f - <<'END'
table inet fw4 {
	set dmsfw0_out4 { type ipv4_addr; elements = { 192.0.2.1 }; }
	chain dmsfw0_forward { ip saddr @dmsfw0_out4 accept; }
	chain forward { jump dmsfw0_forward; }
}
END"""
DAMAGES = {
    "own chain flushed": "nft flush chain inet fw4 dmsfw1_forward",
    "own chain of srcnat flushed": "nft flush chain inet fw4 dmsfw1_srcnat",
    "elements flushed": "nft flush set inet fw4 dmsfw1_nat4",
    "element added": 'nft add element inet fw4 dmsfw1_nat4 \'{ "br-x" . "pppoe-wan" . 10.0.0.0/8 . tcp . 1-65535 }\'',
    "element of another form added": 'nft add element inet fw4 dmsfw1_outall4 \'{ "br*" . "w*" . 192.0.2.1 . 0-9 }\'',
    "rule added to the own chain": "nft insert rule inet fw4 dmsfw1_forward tcp dport 587 accept",
    "rule of ours elsewhere": f'nft "insert rule inet fw4 input tcp dport 1 accept {STRAY}"',
    "jump removed": HANDLE + DROP.format("forward"),
    "jump of srcnat removed": HANDLE + DROP.format("srcnat"),
    "jump doubled": "nft insert rule inet fw4 forward jump dmsfw1_forward",
    "jump moved behind the reject": f'{HANDLE}{DROP.format("forward")}; nft "add rule inet fw4 forward {FORWARD}"',
    "another version's remains": OTHER_VERSION,
    "everybody's tables flushed, then a reload": "nft flush ruleset; fw4 reload",
    "ten reloads in a row": "for n in 1 2 3 4 5 6 7 8 9 10; do fw4 reload; done",
}

for _words, _script in DAMAGES.items():
    fault(f"nft: {_words}", needs="tables lock daemon config", router="fw4")(partial(damaged, _script))

fault("nft: somebody keeps removing our rules", needs="tables lock daemon config", slow=True, router="fw4")(
    partial(removed_again, "while :; do nft flush chain inet fw4 dmsfw1_forward; sleep 0.1; done")
)


@fault("nft: include files taken away and back", needs="tables lock daemon config", breaks="tables", router="fw4")
def excluded(patient: Patient) -> Iterator[None]:
    """Without them each reload removes the jumps, and dmsfw makes them itself."""
    folder = "/usr/share/nftables.d"
    names = "table-pre chain-pre/forward chain-post/srcnat"
    patient.settle()
    patient.sh(f"cd {folder}; for n in {names}; do mv $n/10-dmsfw.nft $n/10-dmsfw.off; done")
    patient.firewall.reload()
    patient.settle()
    patient.firewall.restart()
    patient.settle()
    yield
    patient.sh(f"cd {folder}; for n in {names}; do mv $n/10-dmsfw.off $n/10-dmsfw.nft; done")
    patient.firewall.reload()


@fault("nft: the owner puts a rule ahead of ours", needs="tables lock", lasts=True, router="fw4")
def ahead(patient: Patient) -> Iterator[None]:
    rule = 'ip saddr 10.99.0.0/16 drop comment \\"owner: keep out\\"'
    patient.sh(f'nft "insert rule inet fw4 forward {rule}"')
    patient.settle()
    yield
    number = "nft -a list chain inet fw4 forward | sed -n 's/.*owner: keep out.*# handle //p'"
    patient.sh(f'h=$({number}); [ -z "$h" ] || nft delete rule inet fw4 forward handle $h')


@fault("nft: other people's tables and sets change", needs="tables lock", lasts=True, router="fw4")
def beside(patient: Patient) -> Iterator[None]:
    """Dnsmasq adds elements, Docker and others have tables of their own: none of it is ours to mind."""
    patient.sh("nft add table ip theirs; nft add set ip theirs names '{ type ipv4_addr; }'")
    patient.sh('for n in $(seq 40); do nft add element ip theirs names "{ 192.0.2.$n }"; done')
    patient.recreate()
    patient.settle()
    yield
    patient.sh("nft delete table ip theirs || true")
