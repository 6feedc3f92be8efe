"""Tests of what every request passes on its way in and out."""
