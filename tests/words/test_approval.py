"""A statement's digest outlives the program: what was filed under one is confirmed under the same."""

from gateway.words.approval import Statement


def test_the_digest_of_a_statement_is_of_these_bytes() -> None:
    said = Statement("bundle:activate", "sha256:" + "a" * 64, "sha256:" + "b" * 64)
    assert said.digest == "sha256:97b527ca3a50f92f8942bc380452ea3eb9c5e463550a240bb95c8fbca1966de5"


def test_another_statement_has_another_digest() -> None:
    every = {
        Statement(*three).digest
        for three in (("k", "a", "b"), ("k", "b", "a"), ("j", "a", "b"), ("k", "ab", ""))
    }
    assert len(every) == 4
