"""Everything that a picture file holds besides its pixels, part by part. Each part is read from its own segments,
chunks and tags, and copied byte for byte into a result that can hold it. Parts that are not carried over are named.
"""
