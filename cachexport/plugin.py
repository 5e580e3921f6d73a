"""All that the package of a backend may import: these names stay, whatever becomes of the rest.

With `cachexport` itself and `cachexport.errors` this is the public side of the library, and
`cachexport.testing` is that for tests. What else there is may move from one version to the next.
docs/plugins.md tells how the names go together. Each is imported when it is first used, so that
`from cachexport.plugin import …` at the top of a module costs what it names and no more. They are
listed once, in `plugin.pyi` beside this file.
"""

from cachexport.public import attach

_RENAMED = {
    "Adopter": "Mounter",
    "Eager": "Prefetching",
    "Hindered": "Unprunable",
    "Keeping": "PlaceBackend",
    "persistently": "retry",
}
__getattr__, __dir__ = attach(__name__, __file__, _RENAMED)
