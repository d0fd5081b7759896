"""How the console writes texts"""

import pytest

from services.gateway.console.formats import sentence


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("it is full", "It is full."),
        ("photo.jpg is damaged!", "photo.jpg is damaged!"),
        ("run `tidepool up --scale <n>`", "Run <code>tidepool up --scale &lt;n&gt;</code>."),
        ("a lone ` stays", "A lone ` stays."),
        ("<b>&", "&lt;b&gt;&amp;."),
    ],
)
def test_a_message_is_a_sentence_with_its_code_set_as_code(text: str, html: str) -> None:
    assert sentence(text) == html
