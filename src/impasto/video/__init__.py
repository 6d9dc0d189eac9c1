"""Films: each frame is painted from the one before, warped to where things are now. Ruder, Dosovitskiy and Brox 2016.

`clip` reads the file, `flow` finds the motion, `render` paints the frames into a `FrameStore`, and `encode` writes the
film with the clip's times and sound.
"""
