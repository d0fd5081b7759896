"""All rejected files are counted and the first are listed by name."""

from contract.datasets import Rejected
from media.archives.rejections import Rejections, shown


def test_all_are_counted_and_a_thousand_listed_in_order() -> None:
    rejections = Rejections()
    for number in reversed(range(1200)):
        rejections.add(f"{number:04d}.png", "damaged")

    assert len(rejections) == 1200
    assert [item.file for item in rejections.first()] == [f"{number:04d}.png" for number in range(1000)]


def test_list_does_not_depend_on_the_order() -> None:
    files = [("b", "x"), ("a", "y"), ("a", "x")]
    forward, backward = Rejections(), Rejections()
    for name, reason in files:
        forward.add(name, reason)
    for name, reason in reversed(files):
        backward.add(name, reason)

    assert forward.first() == backward.first() == tuple(Rejected(file=f, reason=r) for f, r in sorted(files))


def test_summary_names_the_first_three() -> None:
    rejections = Rejections()
    assert rejections.summary() == ""
    for name in "dcba":
        rejections.add(name, "damaged")

    assert rejections.summary() == "; rejected: 'a' (damaged), 'b' (damaged), 'c' (damaged)"


def test_shown_names_are_short_and_printable() -> None:
    assert shown("a\0b\x1bc\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert shown("x" * 200) == "x" * 200
    assert shown("x" * 201) == "x" * 199 + "…"


def test_merged_rejections_of_parts_equal_those_of_the_whole() -> None:
    whole, merged = Rejections(), Rejections()
    for part in range(3):
        of_part = Rejections()
        for number in range(part, 1500, 3):
            whole.add(f"{number:04d}.png", "damaged")
            of_part.add(f"{number:04d}.png", "damaged")
        merged.merge(len(of_part), of_part.first())

    assert len(merged) == 1500
    assert (merged.first(), merged.summary()) == (whole.first(), whole.summary())
