"""cachexport: BuildKit's build caches, modelled, moved, written and read.

The names here are what a program needs; each is imported when it is first used. They are listed
once, in `__init__.pyi` beside this file.
"""

from cachexport.public import attach

__version__ = "0.1.0"

__getattr__, __dir__ = attach(__name__, __file__)
