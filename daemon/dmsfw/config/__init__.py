"""The configuration: UCI files in, `Settings` out, or all that is wrong with them at once.

files (bytes) -> words -> commands -> uci (sections) -> section (typed options) -> load (Settings); `advice` looks at
the result, `predecessor` at a script that did before what dmsfw does.
"""

from dmsfw.config.advice import advice
from dmsfw.config.load import Loaded, load, settings_of, text_of
from dmsfw.config.options import option_table
from dmsfw.config.predecessor import predecessors

__all__ = ["Loaded", "advice", "load", "option_table", "predecessors", "settings_of", "text_of"]
