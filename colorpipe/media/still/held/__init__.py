"""What a picture file holds besides its pixels, part by part: read from its own segments, chunks and tags, and put into
a result byte for byte where that can hold it. What is not carried over is named.
"""
