"""Secrets are made as those who get them take them."""

import pytest

from blueprint.secrets import Kind, Secret
from stack import keys


@pytest.mark.parametrize(("kind", "length"), [(Kind.PASSWORD, 32), (Kind.CHAP, 16)])
def test_passwords_are_letters_and_digits(kind: Kind, length: int) -> None:
    password = keys.make(Secret("password", kind, "a test"))
    assert len(password) == length
    assert password.isascii()
    assert password.isalnum()
