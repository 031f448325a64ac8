"""Renderings from several noises: do they show the same?"""
