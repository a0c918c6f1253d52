"""What masks show, and that they show no more on odd input."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.fields.masks import holds_token, looks_masked, mask
from gateway.words.resource import Mask


@pytest.mark.parametrize(
    ("how", "value", "shown"),
    [
        (Mask.NAME, "张.", "*"),
        (Mask.NAME, "王 ·", "*"),
        (Mask.NAME, "欧阳?", "欧*"),
        (Mask.NAME, "上官 。", "上*"),
        (Mask.NAME, "张伟", "张*"),
        (Mask.NAME, "张三丰", "张*"),
        (Mask.NAME, "欧阳娜娜", "欧阳*"),
        (Mask.NAME, "歐陽修", "歐陽*"),
        (Mask.NAME, "欧阳", "欧*"),
        (Mask.NAME, "张", "*"),
        (Mask.NAME, "", "*"),
        (Mask.NAME, "John Smith", "J*"),
        (Mask.NAME, "  Li  ", "L*"),
        (Mask.NAME, "محمد", "م*"),
        (Mask.NAME, "42 Smith", "*"),
        (Mask.NAME, "😀张伟", "*"),
        (Mask.NAME, "e\u0301va", "é*"),
        (Mask.NAME, "\u0301ab", "*"),
        (Mask.PHONE, "13812345678", "138****5678"),
        (Mask.PHONE, "+86 138-1234-5678", "138****5678"),
        (Mask.PHONE, "008613812345678", "138****5678"),
        (Mask.PHONE, "１３８１２３４５６７８", "138****5678"),
        (Mask.PHONE, "+1 (415) 555-0100", "141****0100"),
        (Mask.PHONE, "62345678", "****78"),
        (Mask.PHONE, "123456", "****"),
        (Mask.PHONE, "call 13812345678", "****"),
        (Mask.PHONE, "13812345678 / 13987654321", "****"),
        (Mask.RESIDENT_ID, "110101199003071234", "110***********1234"),
        (Mask.RESIDENT_ID, "11010119900307123x", "110***********123x"),
        (Mask.RESIDENT_ID, "110101900307123", "110*********123"),
        (Mask.RESIDENT_ID, "11010119900307123", "****"),
        (Mask.RESIDENT_ID, "1234", "****"),
        (Mask.BANK_CARD, "6222 0212 3456 7890 123", "****0123"),
        (Mask.BANK_CARD, "62220212345", "****"),
        (Mask.BANK_CARD, "1234", "****"),
        (Mask.EMAIL, "zhang.wei@example.com", "z***@example.com"),
        (Mask.EMAIL, "zw@example.com", "***@example.com"),
        (Mask.EMAIL, "zhang@wei@example.com", "***"),
        (Mask.EMAIL, "zhang wei", "***"),
        (Mask.EMAIL, "@example.com", "***"),
        (Mask.EMAIL, "zhang@exa mple.com", "***"),
        (Mask.EMAIL, "zhang@localhost", "***"),
        (Mask.ADDRESS, "北京市海淀区中关村大街1号院2号楼", "北京市海淀区****"),
        (Mask.ADDRESS, "广东省深圳市南山区科技园路100号", "广东省深圳市****"),
        (Mask.ADDRESS, "北京市朝阳区望京花园小区12号楼3单元1201室", "北京市朝阳区****"),
        (Mask.ADDRESS, "浙江省杭州市西湖区文三路100号5单元", "浙江省杭州市西湖区****"),
        (Mask.ADDRESS, "上海市陈阿姨家小区五栋三单元六零一室那儿", "上海市****"),
        (Mask.ADDRESS, "广州市华润超市三楼二号铺面左边那家", "广州市****"),
        (Mask.ADDRESS, "江苏省苏州市昆山市花桥镇绿地大道一号", "江苏省苏州市****"),
        (Mask.ADDRESS, "大理白族自治州大理市某路一号院二栋三单元四零一", "大理白族自治州****"),
        (Mask.ADDRESS, "阳光小区3号楼2单元501室", "****"),
        (Mask.ADDRESS, "王小明住朝阳区建国路88号院3号楼", "****"),
        (Mask.ADDRESS, "华润超市二楼左边第三家店铺", "****"),
        (Mask.ADDRESS, "朝阳区1号", "****"),
        (Mask.ADDRESS, "12 Baker Street, London", "****"),
        (Mask.ADDRESS, "3号楼市区路口一二三四五六七八九十", "****"),
        (Mask.DATE, "1990-03-07", "1990-**-**"),
        (Mask.DATE, "1990-03-07T10:00:00Z", "1990-**-**"),
        (Mask.DATE, "1990-13-07", "****-**-**"),
        (Mask.DATE, "7 March 1990", "****-**-**"),
        (Mask.DATE, "19900307", "****-**-**"),
        (Mask.FREE_TEXT, "my card is lost", "***"),
        (Mask.NONE, "x", "***"),
    ],
)
def test_masks_show_what_their_table_says(how: Mask, value: str, shown: str) -> None:
    assert mask(how, value) == shown


@pytest.mark.parametrize("how", Mask)
@pytest.mark.parametrize("value", [True, 0, 1.5, ["13812345678"], {"a": "b"}, [], {}])
def test_what_is_not_a_string_shows_nothing(how: Mask, value: Any) -> None:
    assert mask(how, value) == "***"


@pytest.mark.parametrize("how", Mask)
@pytest.mark.parametrize(
    "odd",
    [
        "\u202e13812345678",
        "138\u200d12345678",
        "张\u0000伟伟",
        "张伟\n",
        "a\u2066b@example.com",
        "\ue000ab",
        "\U000e0001ab",
    ],
)
def test_control_and_joining_characters_show_nothing(how: Mask, odd: str) -> None:
    assert mask(how, odd) == "***"


@pytest.mark.parametrize("how", Mask)
def test_null_stays_null(how: Mask) -> None:
    assert mask(how, None) is None


# At most so many characters of the value, by mask; an e-mail's domain is counted apart.
AT_MOST = {
    Mask.NAME: 2,
    Mask.PHONE: 7,
    Mask.RESIDENT_ID: 7,
    Mask.BANK_CARD: 4,
    Mask.ADDRESS: 12,
    Mask.DATE: 4,
    Mask.FREE_TEXT: 0,
    Mask.NONE: 0,
}
ALPHABET = st.characters(codec="utf-8") | st.sampled_from(
    "0123456789+- @.张欧阳省市区小院北京州a\u0301\u200d\u202e１９"
)


@given(st.sampled_from(sorted(AT_MOST)), st.text(ALPHABET, max_size=40))
@example(Mask.NAME, "ﷺﷺ")
@example(Mask.PHONE, "①②③④⑤⑥⑦")
@example(Mask.DATE, "１９９０-03-07")
def test_no_mask_shows_more_than_its_table_says(how: Mask, value: str) -> None:
    shown = mask(how, value)
    assert isinstance(shown, str)
    left = [c for c in shown if c not in "*-" or (how is Mask.NAME and c == "-")]
    assert len(left) <= AT_MOST[how]
    assert "*" in shown
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} for c in shown)


@given(st.sampled_from(sorted(AT_MOST)), st.text(ALPHABET, max_size=40))
def test_a_mask_shows_at_most_half_of_a_value_but_for_its_kind(how: Mask, value: str) -> None:
    shown = mask(how, value)
    assert isinstance(shown, str)
    left = sum(c.isalnum() for c in shown)
    letters = sum(c.isalnum() for c in unicodedata.normalize("NFKC", value))
    assert left == 0 or left * 2 <= letters + 3


@given(st.text(ALPHABET, max_size=30), st.text(ALPHABET, max_size=30))
def test_an_emails_mask_shows_one_character_before_the_domain(local: str, domain: str) -> None:
    shown = mask(Mask.EMAIL, f"{local}@{domain}")
    assert isinstance(shown, str)
    assert len(shown.partition("***")[0]) <= 1
    assert len(local) > 2 or not shown.partition("***")[0]


@given(st.sampled_from(sorted(Mask)), st.text(ALPHABET, max_size=40))
def test_what_a_mask_makes_is_known_when_it_comes_back(how: Mask, value: str) -> None:
    assert looks_masked(how, mask(how, value))


@pytest.mark.parametrize(
    ("how", "value"),
    [
        (Mask.NAME, "张伟"),
        (Mask.NAME, "O*Neil"),
        (Mask.PHONE, "*123#"),
        (Mask.FREE_TEXT, "this is **bold**"),
        (Mask.FREE_TEXT, "see below *"),
        (Mask.FREE_TEXT, ""),
        (Mask.NONE, "tok_short"),
        (Mask.EMAIL, "a*b@example.com"),
        (Mask.DATE, 7),
    ],
)
def test_values_that_people_write_are_no_masks(how: Mask, value: Any) -> None:
    assert not looks_masked(how, value)


@pytest.mark.parametrize("how", Mask)
@pytest.mark.parametrize("value", ["***", "****", "tok_" + "aA-_" * 5 + "zz", " *** ", "＊＊＊"])
def test_stars_and_tokens_are_known_for_every_kind(how: Mask, value: str) -> None:
    assert looks_masked(how, value)


@pytest.mark.parametrize("value", [["1", "138****1234"], {"home": {"phone": "***"}}, [["tok_" + "a" * 22]]])
def test_masks_and_tokens_are_known_inside_lists_and_objects(value: Any) -> None:
    assert looks_masked(Mask.PHONE, value)


@pytest.mark.parametrize("value", [[], {}, [1, None, True], ["13812345678", {"a*b": "O*Neil"}]])
def test_lists_and_objects_of_values_are_no_masks(value: Any) -> None:
    assert not looks_masked(Mask.PHONE, value)


def test_a_token_is_one_whole_text() -> None:
    token = "tok_" + "aA-_" * 5 + "zz"
    assert all(holds_token(value) for value in (token, f" {token}\n", [token], {"a": [token]}))
    assert not any(holds_token(value) for value in ("***", f"see {token}", token + "A", {token: 1}, None, 7))


def test_nothing_that_counts_as_printable_is_unsafe() -> None:
    unsafe = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    everything = map(chr, range(0x110000))
    assert [c for c in everything if c.isprintable() and unicodedata.category(c) in unsafe] == []
