"""A large image is looked at in parts, and what is found in them becomes one answer.

tiles.py           how an image is cut
tiled_frame.py     one image on its way through a model, tile by tile
merging.py         one list of detections from those of all tiles
pieces.py          which detections are pieces of an object that a tile cuts, and which give way to an entire one
mask_seams.py      which pieces belong together, by their masks where two tiles look at the same pixels
"""
