"""Neural style transfer by optimisation: a photograph painted in the style of a picture.

    import impasto
    impasto.stylize("photo.jpg", "painting.jpg").save("out.png")

The public names are listed in `__init__.pyi` and imported when first asked for, so that `import impasto` costs nothing.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
