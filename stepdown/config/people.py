"""Load who may sign, in which roles, with which keys: ``people.yaml`` beside the configs."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from stepdown.config.models import Name
from stepdown.config.treatments import Model
from stepdown.config.yaml_file import load_model
from stepdown.signing import is_public_key

PEOPLE = "people.yaml"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Person(Model):
    """Somebody who signs."""

    name: Text = Field(description="As it stands under their signatures.")
    roles: list[Name] = Field(min_length=1, description="What they may sign as.")
    public_key: str = Field(description="What `stepdown keygen` printed: `ed25519:…`.")
    accounts: list[Text] = Field(
        [], description="Their account names on machines that run releases."
    )
    organisation: Text | None = Field(None, description="Where they belong, if elsewhere.")
    contact: Text | None = Field(None, description="Where notices to them go.")

    @field_validator("public_key")
    @classmethod
    def _is_key(cls, text: str) -> str:
        if not is_public_key(text):
            raise ValueError("is not an Ed25519 public key: `ed25519:` and 44 characters of base64")
        return text


class People(Model):
    """Everybody who signs, and the accounts that are nobody's."""

    people: list[Person] = Field(min_length=1)
    services: list[Text] = Field(
        [], description="Accounts of schedulers and workers, which are no person's."
    )

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        accounts = [account for person in self.people for account in person.accounts]
        for what, all_of in (
            ("people have the same name", [same_person(p.name) for p in self.people]),
            ("people have the same public key", [p.public_key for p in self.people]),
            ("entries have the same account", [*self.services, *accounts]),
        ):
            if len(set(all_of)) != len(all_of):
                raise ValueError(f"two {what}")
        return self

    def named(self, name: str) -> Person | None:
        """The person of this name, however it is spaced or capitalised."""
        found = [p for p in self.people if same_person(p.name) == same_person(name)]
        return found[0] if found else None

    def holder(self, public_key: str) -> Person | None:
        """Whose key this is."""
        return next((p for p in self.people if p.public_key == public_key), None)

    def owner(self, account: str) -> Person | None:
        """Whose account this is."""
        return next((p for p in self.people if account in p.accounts), None)

    def in_role(self, role: str) -> list[Person]:
        return [person for person in self.people if role in person.roles]


def account() -> str:
    """The account this process runs under, as the system knows it; no environment can change it."""
    if sys.platform == "win32":
        return os.getlogin()  # asks Windows; getpass would ask the environment
    import pwd  # no other system than Unix has it

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"


def same_person(name: str) -> str:
    """One spelling per person: compatibility forms, case, spaces and signs that nobody sees do not
    make a second one."""
    seen = "".join(sign for sign in name if unicodedata.category(sign) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen).casefold().split())


def load_people(folder: Path) -> People:
    """The people that a folder of configs names; nobody where it has no ``people.yaml``.

    Raises:
        ConfigInvalid: the file has keys or values that are not allowed.
    """
    path = folder / PEOPLE
    if not path.exists():
        return People.model_construct(people=[], services=[])
    return load_model(path, People, "file of people", "docs/governance.md shows one.")
