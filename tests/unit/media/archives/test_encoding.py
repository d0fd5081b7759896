"""Names and texts in old encodings are told by all of them together."""

import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from contract.errors import BadArchive
from media.archives.archive import Archive
from media.archives.encoding import decoded_names, decoded_text
from media.archives.limits import Limits
from media.archives.rejections import Rejections

NAMES = {
    "cp932": [
        "ソース ソフト 猫 表",
        "猫 犬",
        "ソ 表",
        "能力 十 表示",
        "正常 異常",
        "良品 不良品",
        "表",
        "りんご ミカン",
    ],
    "big5": ["功能 功課", "貓 狗 水果 蘋果 蔬菜", "貓 狗", "正常 異常", "功", "許功蓋", "蘋果 香蕉 西瓜"],
    "gb18030": [
        "猫 狗",
        "苹果 香蕉 西红柿",
        "正常 异常",
        "狗",
        "花 草 树",
        "可回收物 厨余垃圾 有害垃圾",
        "山 川",
        "汽车 卡车",
    ],
    "cp949": ["고양이 개", "사과 바나나", "정상 불량", "개", "새 물고기 꽃", "산 강", "사자 호랑이 곰"],
    "cp866": ["кошка собака", "Кошки Собаки", "кот пёс", "норма брак", "яблоко груша слива"],
    "cp1251": ["кошка собака", "яблоко груша слива"],
    "cp437": [
        "café thé",
        "Äpfel",
        "Äpfel Birnen Öl",
        "é",
        "naïve jalapeño",
        "größe Vögel",
        "niño niña",
        "café forêt été",
    ],
    "cp850": [
        "café thé",
        "niño niña",
        "niño niña Ávila",
        "maçã limão pão",
        "ação não",
        "Maçã Pêra",
        "Ångström øl Æble",
    ],
    "cp852": ["kočka pes liška", "łódź żółty książka", "żółty książka", "jabłko śliwka", "žluťoučký kůň", "kőris fűz"],
    "cp857": ["çiğdem şeker", "kırmızı yeşil"],
    "cp737": ["γάτα σκύλος"],
    "cp1253": ["γάτα σκύλος"],
    "cp1256": ["قطة كلب", "تفاح موز برتقال", "سليم مريض"],
    "cp720": ["قطة كلب"],
    "cp1255": ["חתול כלב"],
    "cp862": ["חתול כלב"],
    "cp1252": ["café Äpfel", "Maçã Pêra", "café forêt été", "pêche crème", "Château église"],
}


@pytest.mark.parametrize(("encoding", "words"), [(encoding, text) for encoding in NAMES for text in NAMES[encoding]])
def test_the_encoding_of_names_is_detected(encoding: str, words: str) -> None:
    for pattern in ("data/{}/{}.jpg", "{}/IMG_{}.JPEG", "data/{}{}.png", "data\\{}\\{}.jpg", "{} ({}).png"):
        names = [pattern.format(word, number) for word in words.split() for number in range(3)]

        decoded, detected = decoded_names([name.encode(encoding) for name in names], None)

        assert decoded == names
        assert detected is not None


def test_names_in_utf_8_need_no_detection() -> None:
    names = ["猫/1.jpg", "cat/2.jpg", "é/3.jpg"]

    assert decoded_names([name.encode() for name in names], None) == (names, None)
    assert decoded_names(["猫", b"cat"], None) == (["猫", "cat"], None)


def test_a_few_names_in_another_encoding_do_not_spoil_those_in_utf_8() -> None:
    names = [*(f"猫/{number}.jpg".encode() for number in range(9)), "é.jpg".encode("cp437")]

    assert decoded_names(names, None)[0] == [*(f"猫/{number}.jpg" for number in range(9)), "é.jpg"]


@pytest.mark.parametrize("encoding", ["shift_jis", "cp932", "SJIS"])
def test_a_given_encoding_is_used(encoding: str) -> None:
    assert decoded_names(["ソ/1.jpg".encode("cp932"), "猫"], encoding) == (["ソ/1.jpg", "猫"], None)


def test_names_in_utf_8_may_lie_beside_names_in_a_given_encoding() -> None:
    names = ["ソ/1.jpg".encode("cp932"), "🐈/1.jpg".encode()]

    assert decoded_names(names, "cp932")[0] == ["ソ/1.jpg", "🐈/1.jpg"]


def test_a_name_that_is_not_in_the_given_encoding_is_named_in_the_error() -> None:
    with pytest.raises(BadArchive, match=r"is not in the encoding euc-kr; name another one in layout\.encoding"):
        decoded_names([b"\xff\xfe/1.jpg"], "euc-kr")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,label\n1.png,café\n2.png,Äpfel\n", "cp1252"),
        ("path,label\n1.png,кошка\n2.png,собака\n", "cp1251"),
        ("path,label\n1.png,猫\n2.png,犬\n", "cp932"),
        ("path,label\n1.png,功能\n2.png,功課\n", "big5"),
        ("path,label\n1.png,苹果\n2.png,香蕉\n", "gb18030"),
        ("path,label\n1.png,고양이\n2.png,강아지\n", "cp949"),
        ("path,label\n1.png,łódź\n2.png,książka\n", "cp1250"),
    ],
)
def test_the_encoding_of_a_text_is_detected(text: str, encoding: str) -> None:
    decoded, detected = decoded_text(text.encode(encoding), None)

    assert decoded == text
    assert detected is not None
    assert decoded_text(text.encode(encoding), encoding) == (text, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_texts_need_no_detection(encoding: str) -> None:
    assert decoded_text("path,猫\n".encode(encoding), "cp932") == ("path,猫\n", None)


class RawInfo(zipfile.ZipInfo):
    """An entry whose name is written as these bytes, with or without the flag of UTF-8."""

    def __init__(self, name: bytes, flag: bool = False, extra: bytes = b"", system: int = 0) -> None:
        super().__init__(name.hex())
        self.raw, self.flag, self.extra, self.create_system = name, flag, extra, system

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802  zipfile's own
        return self.raw, 0x800 if self.flag else 0


def unicode_path(stored: bytes, name: bytes, version: int = 1) -> bytes:
    content = struct.pack("<BL", version, zlib.crc32(stored)) + name
    return struct.pack("<HH", 0x7075, len(content)) + content


def opened(folder: Path, infos: Iterable[zipfile.ZipInfo], encoding: str | None = None) -> Archive:
    path = folder / "upload.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, info in enumerate(infos):
            archive.writestr(info, str(number))
    return Archive(path, Limits(), Rejections(), encoding)


@pytest.mark.parametrize("system", [0, 3, 10, 11, 14])
@pytest.mark.parametrize(
    ("encoding", "folders"), [("cp932", ["ソース", "ソフト", "猫", "表"]), ("big5", ["功能", "功課", "許功蓋"])]
)
def test_a_backslash_within_a_character_is_no_separator(
    tmp_path: Path, encoding: str, folders: list[str], system: int
) -> None:
    names = [f"{folder}/{number}.png" for folder in folders for number in range(2)]

    archive = opened(tmp_path, [RawInfo(name.encode(encoding), system=system) for name in names])

    assert list(archive.names) == names
    assert [archive.read(name) for name in names] == [str(number).encode() for number in range(len(names))]
    assert archive.detected_encoding is not None


def test_names_with_and_without_the_flag_may_be_mixed(tmp_path: Path) -> None:
    flagged = [RawInfo(name.encode(), flag=True) for name in ("猫/1.png", "café/2.png")]
    others = [RawInfo(name.encode("cp932")) for name in ("ソース/3.png", "表示/4.png", "dog/5.png")]

    names = opened(tmp_path, [*flagged, *others]).names

    assert names == ("猫/1.png", "café/2.png", "ソース/3.png", "表示/4.png", "dog/5.png")


def test_the_unicode_path_of_an_entry_counts_if_it_belongs_to_its_name(tmp_path: Path) -> None:
    stored = "ソ/1.png".encode("cp932")
    infos = [
        RawInfo(stored, extra=unicode_path(stored, "ソ/1.png".encode())),
        RawInfo(b"\x82/2.png", extra=unicode_path(b"other", b"wrong/2.png")),
        RawInfo(b"\x82/3.png", extra=unicode_path(b"\x82/3.png", b"\xff\xff")),
        RawInfo(b"\x82/4.png", extra=unicode_path(b"\x82/4.png", b"wrong/4.png", version=2)),
        RawInfo(b"\x82/5.png", extra=unicode_path(b"\x82/5.png", "è\\5.png".encode())),
        RawInfo(b"x_6.png", extra=unicode_path(b"x_6.png", "猫_6.png".encode())),
    ]

    names = opened(tmp_path, infos).names

    assert names == ("ソ/1.png", "é/2.png", "é/3.png", "é/4.png", "è/5.png", "猫_6.png")


def test_a_wrong_flag_of_utf_8_does_not_spoil_the_archive(tmp_path: Path) -> None:
    infos = [RawInfo(f"{word}/1.png".encode("gb18030"), flag=True) for word in ("苹果", "香蕉", "西红柿")]

    archive = opened(tmp_path, [*infos, RawInfo(b"cat/1.png", flag=True)])

    assert archive.names == ("苹果/1.png", "香蕉/1.png", "西红柿/1.png", "cat/1.png")


def test_the_encoding_of_an_archive_can_be_given(tmp_path: Path) -> None:
    archive = opened(tmp_path, [RawInfo("狗/1.png".encode("gb18030"))], "gbk")

    assert (archive.names, archive.detected_encoding) == (("狗/1.png",), None)
