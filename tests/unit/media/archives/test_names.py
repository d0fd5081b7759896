"""Names of an archive's members are normalized, ignored or rejected."""

import pytest

from media.archives import names


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("cat/1.png", "cat/1.png"),
        ("cat\\1.png", "cat\\1.png"),
        ("./cat//1.png", "cat/1.png"),
        ("/etc/passwd", "/etc/passwd"),
        ("cat/../dog/1.png", "cat/../dog/1.png"),
        ("cat/", "cat"),
    ],
)
def test_names_are_normalized(raw: str, expected: str) -> None:
    assert names.clean(raw) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("__MACOSX/cat/1.png", "cat/.DS_Store", "cat/Thumbs.db", ".git/config", "cat/._1.png", "cat/.gitkeep"),
        *("cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "@eaDir/1.png", ".ipynb_checkpoints/1-checkpoint.png"),
        *("THUMBS.DB", "cat/Desktop.ini", "Thumbs.db/1.png", "#recycle/1.png", "$RECYCLE.BIN/1.png"),
    ],
)
def test_clutter_is_recognized(name: str) -> None:
    assert names.is_clutter(name)


@pytest.mark.parametrize("name", ["cat/1.png", "../1.png", "cat/..", "thumbs/1.png", ".cats/1.png", "cat/.1.png"])
def test_other_names_are_not_clutter(name: str) -> None:
    assert not names.is_clutter(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "absolute path"),
        ("C:/windows/system.ini", "absolute path"),
        ("\\\\host\\share", "absolute path"),
        ("..\\passwd", "leaves the archive"),
        ("../../etc/passwd", "leaves the archive"),
        ("cat/../../1.png", "leaves the archive"),
        ("cat/1\0.png", "control characters"),
        ("cat/1\n.png", "control characters"),
        ("cat/" + "x" * 1021, "over 1024 characters"),
        ("cat/more.zip", "nested archive"),
        ("cat/more.TAR.GZ", "nested archive"),
        ("more.7z", "nested archive"),
        (".cats/1.png", "in a folder whose name begins with a dot"),
        ("train/.cats/a/1.png", "in a folder whose name begins with a dot"),
        ("cat/.1.png", "its name begins with a dot"),
    ],
)
def test_bad_names_are_rejected(name: str, reason: str) -> None:
    fault = names.fault(name)

    assert fault is not None
    assert reason in fault


@pytest.mark.parametrize("name", ["cat/1.png", "cat/..1.png", "ca:t/1.png", "😀/1.png", "cat/" + "x" * 1020])
def test_good_names_are_accepted(name: str) -> None:
    assert names.fault(name) is None


def test_usual_names_of_images_are_accepted() -> None:
    usual = names.UsualNames()

    assert all(map(usual.accepts, ["1.png", "train/cat/1.JPG", "Ünïcode/b c (1).jpeg", "a/d..e.gif"]))


@pytest.mark.parametrize(
    "name",
    [
        *("cat/", "./1.png", "a//1.png", "/a/1.png", "../1.png", "a/../1.png", "C:1.png", "C:/1.png", "a\\1.png"),
        *("__MACOSX/cat/1.png", "cat/._1.png", ".git/1.png", ".cats/1.png", "Thumbs.db/1.png", "cat/.1.png"),
        *("cat/1.zip", "cat/1", "cat/1.txt", "a\n/1.png", "a\0.png", "x" * 1020 + "/1.png"),
    ],
)
def test_names_that_need_a_closer_look_are_not_accepted(name: str) -> None:
    assert not names.UsualNames().accepts(name)
