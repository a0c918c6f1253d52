"""A room: sealing, and the lens. Fields are sealed on the way in and shown on the way out, each as one decision says."""

from gateway.fields.lens import FieldLens
from gateway.fields.masks import mask
from gateway.fields.shape import shape_of
from gateway.fields.subjects import SubjectRow, oldest_subjects

__all__ = ["FieldLens", "SubjectRow", "mask", "oldest_subjects", "shape_of"]
