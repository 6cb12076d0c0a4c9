"""What the crypter writes, Pulumi's engine reads, and the other way round."""

import pytest

from stack.crypter import Crypter, WrongPassphraseError

# Written by `pulumi stack init` and `pulumi config set --secret` of the engine v3.259.0 with this passphrase.
PASSPHRASE = "secretpass"  # noqa: S105
SALT = "v1:oMCguI8KEmE=:v1:TaBftcRCDI/OCMlj:2jkjl9PltSwiaH3os5b8+x+wzoTbKQ=="
SECURE = "v1:p1j3wGIqctXKnnGN:NDV5Sm50dl9ydye+6KLxs2QJmssl"


@pytest.fixture(scope="module")
def crypter() -> Crypter:
    """The engine's: a million rounds take their time."""
    return Crypter.of(PASSPHRASE, SALT)


def test_a_value_of_the_engine_is_read(crypter: Crypter) -> None:
    assert crypter.decrypt(SECURE) == "hallo"


def test_a_value_comes_back_under_the_same_salt() -> None:
    written = Crypter.new("a passphrase")
    secure = written.encrypt("several\nlines\n")
    assert "several" not in secure
    assert Crypter.of("a passphrase", written.salt).decrypt(secure) == "several\nlines\n"


def test_the_same_value_never_looks_the_same(crypter: Crypter) -> None:
    assert crypter.encrypt("hallo") != crypter.encrypt("hallo")


@pytest.mark.parametrize("salt", [SALT.replace("oMCg", "oMCh"), "v2" + SALT[2:], "v1:!:v1:x:y", "nothing", ""])
def test_a_damaged_salt_is_refused(salt: str) -> None:
    with pytest.raises(WrongPassphraseError):
        Crypter.of(PASSPHRASE, salt)


def test_another_passphrase_is_refused() -> None:
    with pytest.raises(WrongPassphraseError):
        Crypter.of("another", SALT)


@pytest.mark.parametrize("secure", [SECURE[:-4] + "AAAA", "plain", "v1:x:y", "v3" + SECURE[2:]])
def test_a_damaged_value_is_refused(crypter: Crypter, secure: str) -> None:
    with pytest.raises(WrongPassphraseError):
        crypter.decrypt(secure)
