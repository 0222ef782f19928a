"""Configuration keys: where values come from, and what is said of a wrong one."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from pathlib import Path

import pytest

from rtc_stt.config_keys import Values, build, key, keys, read_env_file, read_environment, reference
from rtc_stt.errors import ConfigError


class Size(enum.StrEnum):
    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """A lamp. It shines."""

    watts: int = key("LAMP_WATTS", 40, "Its power.", low=1, high=100)
    warmth: float = key("LAMP_WARMTH", 0.5, "How yellow.", low=0, high=1)
    on: bool = key("LAMP_ON", False, "Whether it shines.")
    size: Size = key("LAMP_SIZE", Size.SMALL, "How big.")
    name: str | None = key("LAMP_NAME", None, "What it is called.")
    room: str = key("LAMP_ROOM", "hall", "Where it is.")
    codes: tuple[str, ...] = key("LAMP_CODES", (), "Who may switch it.", secret=True)
    serial: int = dataclasses.field(default=0)  # no key


KNOWN = [spec.name for spec in keys(Lamp).values()]


def given(**values: str) -> Values:
    return Values({name: (text, "here") for name, text in values.items()})


@pytest.fixture
def env(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "lamp.env"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_what_is_not_given_has_its_default():
    assert build(Lamp, given()) == Lamp()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("LAMP_WATTS", "60", "watts", 60),
        ("LAMP_WARMTH", "1", "warmth", 1.0),
        ("LAMP_ON", "Yes", "on", True),
        ("LAMP_ON", "off", "on", False),
        ("LAMP_SIZE", "large", "size", Size.LARGE),
        ("LAMP_NAME", "Lumen", "name", "Lumen"),
        ("LAMP_NAME", "", "name", None),
        ("LAMP_ROOM", "", "room", ""),
        ("LAMP_WATTS", "", "watts", 40),
        ("LAMP_CODES", "one, two ,,three", "codes", ("one", "two", "three")),
        ("LAMP_CODES", "", "codes", ()),
    ],
)
def test_a_value_is_read_by_the_type_of_its_key(name, text, field, value):
    assert getattr(build(Lamp, given(**{name: text})), field) == value


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("LAMP_WATTS", "many", "of type int"),
        ("LAMP_WATTS", "1.5", "of type int"),
        ("LAMP_WATTS", "0", "between 1 and 100"),
        ("LAMP_WATTS", "101", "between 1 and 100"),
        ("LAMP_WARMTH", "nan", "between 0 and 1"),
        ("LAMP_WARMTH", "inf", "between 0 and 1"),
        ("LAMP_ON", "perhaps", "of type bool"),
        ("LAMP_SIZE", "huge", "one of small, large"),
    ],
)
def test_a_wrong_value_names_its_key_its_place_and_what_is_wanted(name, text, wanted):
    with pytest.raises(ConfigError) as error:
        build(Lamp, given(**{name: text}))
    for part in ("here", name, wanted):
        assert part in str(error.value)


def test_the_limits_themselves_are_allowed():
    assert build(Lamp, given(LAMP_WATTS="1")).watts == 1
    assert build(Lamp, given(LAMP_WATTS="100")).watts == 100


def test_a_secret_is_not_shown():
    assert "hush" not in repr(Lamp(codes=("hush",)))


def test_a_file_is_read_line_by_line(env):
    path = env("# a lamp\n\nLAMP_WATTS=60\nexport LAMP_NAME = 'the = lamp'\nLAMP_ROOM=\"\"\n")
    values = read_env_file(path, KNOWN)
    assert values.entries == {
        "LAMP_WATTS": ("60", f"{path}:3"),
        "LAMP_NAME": ("the = lamp", f"{path}:4"),
        "LAMP_ROOM": ("", f"{path}:5"),
    }


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("LAMP_WATS=1", "unknown key LAMP_WATS (did you mean LAMP_WATTS?)"),
        ("QQQ=1", "unknown key QQQ"),
        ("just words", "expected KEY=value"),
        ("LAMP WATTS=1", "expected KEY=value"),
        ("=1", "expected KEY=value"),
        ("LAMP_ROOM=b", "LAMP_ROOM is set twice"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_number(env, line, told):
    path = env(f"# first\nLAMP_ROOM=a\n{line}\n")
    with pytest.raises(ConfigError) as error:
        read_env_file(path, KNOWN)
    assert str(error.value).startswith(f"{path}:3: ")
    assert told in str(error.value)


def test_a_wrong_line_does_not_show_its_value(env):
    with pytest.raises(ConfigError) as error:
        read_env_file(env("LAMP_CODE=hush\n"), KNOWN)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize("content", [None, b"LAMP_ROOM=\xff\xfe\n"], ids=["missing", "not text"])
def test_a_file_that_cannot_be_read_is_named(env, tmp_path, content):
    path = tmp_path / "none.env" if content is None else env(content)
    with pytest.raises(ConfigError, match=path.name):
        read_env_file(path, KNOWN)


def test_the_environment_gives_known_keys_alone():
    values = read_environment(KNOWN, {"LAMP_ROOM": "attic", "PATH": "/bin"})
    assert values.entries == {"LAMP_ROOM": ("attic", "environment")}


def test_later_sources_win(env):
    file = read_env_file(env("LAMP_ROOM=file\nLAMP_WATTS=1\nLAMP_NAME=file\n"), KNOWN)
    environment = read_environment(KNOWN, {"LAMP_ROOM": "environment", "LAMP_NAME": "environment"})
    flags = given(LAMP_NAME="flag")
    lamp = build(Lamp, flags.over(environment.over(file)))
    assert (lamp.watts, lamp.room, lamp.name) == (1, "environment", "flag")


def test_the_reference_documents_every_key_and_can_be_read_back(env):
    text = reference([Lamp])
    assert "A lamp. It shines." in text
    for spec in keys(Lamp).values():
        assert spec.help in text
    switched_on = "\n".join(line[1:] if line.startswith("#LAMP_") else line for line in text.splitlines())
    assert build(Lamp, read_env_file(env(switched_on), KNOWN)) == Lamp()
