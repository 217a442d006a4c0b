from __future__ import annotations

import json
import sys

import pytest

from flows.arguments import names, privacy_models
from flows.cli import main
from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.errors import InputWrong

NOTHING = {
    "k": 1,
    "diversity": ("distinct", 1.0, 4.0),
    "t": None,
    "delta": None,
    "beta": ("basic", None),
    "average_risk": None,
    "k_map": 1,
    "delta_presence": "",
}


@pytest.mark.parametrize(
    ("asked", "models"),
    [
        ({"k": 5}, PrivacyModels(k=5)),
        ({"diversity": ("distinct", 3.0, 4.0)}, PrivacyModels(distinct_l=3)),
        ({"diversity": ("entropy", 2.5, 4.0)}, PrivacyModels(entropy_l=2.5)),
        ({"diversity": ("recursive", 3.0, 4.0)}, PrivacyModels(recursive_cl=(4.0, 3))),
        ({"beta": ("basic", 1.0)}, PrivacyModels(beta=1.0)),
        ({"beta": ("enhanced", 1.0)}, PrivacyModels(enhanced_beta=1.0)),
        ({"delta": 0.5}, PrivacyModels(delta_disclosure=0.5)),
        ({"average_risk": 0.1}, PrivacyModels(expected_reidentifications=0.1)),
        ({"k_map": 3}, PrivacyModels(k_map=3)),
        ({"delta_presence": "0.1, 0.7"}, PrivacyModels(delta_presence=(0.1, 0.7))),
    ],
)
def test_every_option_asks_for_its_model_and_no_other(asked, models):
    assert privacy_models(**(NOTHING | asked)) == models


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"diversity": ("distinct", 2.5, 4.0)}, "distinct l is a whole number"),
        ({"diversity": ("recursive", 2.5, 4.0)}, "recursive l is a whole number"),
        ({"delta_presence": "0.1"}, "not two numbers"),
        ({"delta_presence": "a,b"}, "not two numbers"),
    ],
)
def test_options_that_are_no_numbers_of_their_kind_are_refused(asked, said):
    with pytest.raises(InputWrong, match=said):
        privacy_models(**(NOTHING | asked))


def test_the_command_passes_every_option_on(tmp_path, monkeypatch, capsys):
    people = tmp_path / "people.csv"
    rows = [f"{zip},{disease}" for zip in "abcd" for disease in ("flu", "ulcer", "cold")]
    people.write_text("\n".join(["zip,disease", *rows]) + "\n")
    (tmp_path / "zip.csv").write_text("a;1;*\nb;1;*\nc;2;*\nd;2;*\n")
    (tmp_path / "disease.csv").write_text("flu;lung;*\ncold;lung;*\nulcer;stomach;*\n")
    words = [
        *("anonymise", str(people), "--qi", "zip", "--sensitive", "disease", "--k", "4"),
        *("--l", "2", "--l-kind", "entropy", "--t", "0.5", "--t-kind", "hierarchical"),
        *("--delta", "2", "--beta", "1", "--beta-kind", "enhanced", "--average-risk", "0.2"),
        *("--population", str(people), "--k-map", "6", "--delta-presence", "0.5,1"),
        *("--hierarchies", str(tmp_path), "--loss", "arithmetic", "--weights", "zip=2"),
        *("--suppression", "0.1", "--budget", "60", "-o", str(tmp_path / "out.csv"), "--json"),
    ]
    monkeypatch.setattr(sys, "argv", ["stepdown", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    told = json.loads(capsys.readouterr().out)
    assert not ended.value.code, told
    assert told["levels"] == {"zip": 1}
    assert told["smallest_class"] == 6
    # Four leaves, two of them under each label: (12 · 1/2 − 3) / (12 − 3).
    assert told["score"] == pytest.approx(1 / 3)


def test_a_comma_in_a_columns_name_stands_in_quotes():
    assert names('age, "town, or village",') == ["age", "town, or village"]
    assert names("age,sex") == ["age", "sex"]
    assert names("") == []
