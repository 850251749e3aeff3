"""Weights: registered models, where their files lie, and how a file is read safely. Importing it is light.

May import: ground.
"""
