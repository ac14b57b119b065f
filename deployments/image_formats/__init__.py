"""What an image file says before it is decoded, and the part of it that a decoder needs.

One module a format. Each reads the bytes once, in linear time and with bounded steps, and leaves out what is not a
pixel: texts, colour profiles, thumbnails, further frames. So a decoder never sees what could cost it time or memory
beyond the pixels, and a damaged note does not spoil an image. Imports the errors of the core only.
"""
