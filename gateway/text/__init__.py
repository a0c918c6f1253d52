"""What people read: one catalogue of messages in English and Simplified Chinese, and the problems that are made of it. Pure."""

from gateway.text.catalogue import Language, pick_language, place, text

__all__ = ["Language", "pick_language", "place", "text"]
