"""Risk measures against published figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stepdown.risk.file import assess_file
from stepdown.risk.measures.individual import individual_risk

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the reference data are not here")

FRANCDAT_RISKS = [
    0.0171442616,
    0.0220423262,
    0.0220423262,
    0.1770758340,
    0.0116544801,
    0.2970630774,
    0.4023594781,
    0.0171442616,
]  # sdcMicro, freqCalc and indivRisk


@needs_data
def test_the_household_survey_has_the_class_counts_and_risks_of_sdcmicro():
    report = assess_file(
        DATA / "testdata" / "testdata.csv",
        ["urbrur", "roof", "walls", "water", "electcon", "relat", "sex"],
        weight="sampling_weight",
        household="ori_hid",
    )
    assert (report["records"], report["classes"]) == (4580, 412)
    assert report["below_k"] == {"2": 157, "3": 281, "5": 458}
    assert report["uniques"] == 157
    assert report["expected_reidentifications"] == pytest.approx(10.7782989187, abs=1e-9)
    assert report["global_risk"] == pytest.approx(10.7782989187 / 4580, abs=1e-12)
    assert report["household"]["expected_reidentifications"] == pytest.approx(
        51.8129274360, abs=1e-9
    )


@needs_data
def test_the_household_survey_has_the_special_uniques_of_sdcmicro():
    keys = ["urbrur", "roof", "walls", "water", "electcon", "relat", "sex"]
    suda = assess_file(DATA / "testdata" / "testdata.csv", keys)["suda"]
    assert (suda["records"], suda["score_sum"], suda["score_max"]) == (157, 4890, 720)
    # sdcMicro's file-level risk is in single precision, good to seven digits.
    assert suda["dis_sum"] == pytest.approx(9.831091, rel=1e-6)
    assert suda["dis_max"] == pytest.approx(0.678143, abs=5e-7)
    assert suda["size"] == 7


@needs_data
def test_francdat_records_have_the_individual_risks_of_sdcmicro():
    table = np.genfromtxt(DATA / "small" / "francdat.csv", delimiter=",", names=True)
    keys = np.stack([table[f"Key{i}"] for i in (1, 2, 3, 4)], axis=1)
    _, code, sizes = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    weights = np.bincount(code, weights=table["w"])
    assert individual_risk(sizes, weights)[code] == pytest.approx(FRANCDAT_RISKS, abs=1e-9)
    report = assess_file(
        DATA / "small" / "francdat.csv", ["Key1", "Key2", "Key3", "Key4"], weight="w"
    )
    assert report["expected_reidentifications"] == pytest.approx(sum(FRANCDAT_RISKS), abs=1e-8)


@needs_data
def test_adult_has_the_prosecutor_risk_and_uniques_of_arx():
    columns = "sex age race marital-status education native-country workclass occupation"
    report = assess_file(DATA / "adult" / "adult.csv", [*columns.split(), "salary-class"])
    assert report["prosecutor"]["average"] == pytest.approx(0.6465751608, abs=1e-10)
    assert 100 * report["uniques"] / report["records"] == pytest.approx(51.4290, abs=5e-5)


@needs_data
def test_adult_has_the_population_uniques_of_arx():
    columns = "sex age race marital-status education native-country workclass occupation"
    report = assess_file(
        DATA / "adult" / "adult.csv", [*columns.split(), "salary-class"], sampling_fraction=0.1
    )
    uniques = report["population_uniques"]
    assert uniques["zayatz"] == pytest.approx(96741.7, abs=0.05)
    assert uniques["pitman"] == pytest.approx(83503.5, abs=0.05)
    assert (uniques["dankar"], uniques["dankar_model"]) == (uniques["pitman"], "pitman")


PYCANON = {
    "k": 87,
    "l_distinct": 10,
    "beta": 17.722532588454378,
    "beta_enhanced": 10.31433813292063,
    "delta": 3.132721992807618,
    "alpha": 0.2789115646258503,
}  # pyCANON 1.3.5, its metrics with the same arguments


@needs_data
def test_adult_has_the_models_of_pycanon():
    report = assess_file(DATA / "adult" / "adult.csv", ["sex", "race"], ["occupation", "age"])
    assert {key: report["models"][key] for key in PYCANON} == pytest.approx(PYCANON, abs=1e-10)
    assert int(report["models"]["l_entropy"]) == 7
    # pyCANON takes the equal distance of a text and the ordered one of a number.
    assert report["sensitive"]["occupation"]["t_equal"] == pytest.approx(
        0.3249624441807344, abs=1e-10
    )
    salary = assess_file(DATA / "adult" / "adult.csv", ["sex", "race"], ["salary-class"])
    assert salary["models"]["t_equal"] == pytest.approx(0.20294547375208355, abs=1e-10)
    assert salary["models"]["beta"] == pytest.approx(0.38366751560398815, abs=1e-10)
    assert salary["models"]["delta"] == pytest.approx(1.6890000223204622, abs=1e-10)


def test_the_l_diversity_paper_finds_its_example_three_diverse(tmp_path):
    # Machanavajjhala et al. 2007, figure 3: conditions of the 3-diverse inpatient table.
    classes = {
        "1305*, ≤ 40": ("heart", "viral", "cancer", "cancer"),
        "1485*, > 40": ("cancer", "heart", "viral", "viral"),
        "1306*, ≤ 40": ("heart", "viral", "cancer", "cancer"),
    }
    lines = [f"{name};{value}" for name, values in classes.items() for value in values]
    path = tmp_path / "inpatients.csv"
    path.write_text("\n".join(["class;condition", *lines]))
    models = assess_file(path, ["class"], ["condition"])["models"]
    assert models["k"] == 4
    assert models["l_distinct"] == 3
    # Shares ¼, ¼, ½: exp(½·ln 4 + ½·ln 2) = 2·√2; and r₁ = 2 against r₃ = 1.
    assert models["l_entropy"] == pytest.approx(8**0.5)
    assert models["recursive"] == {"l": 3, "c": 2.0}


def write_salaries(path, classes):
    # Li, Li & Venkatasubramanian 2007: nine salaries 3 … 11 (thousand), in classes of three.
    lines = [f"{name},{salary}" for name, salaries in classes.items() for salary in salaries]
    path.write_text("\n".join(["place,salary", *lines]))
    return path


def test_the_t_closeness_paper_finds_0_375_for_the_class_of_low_salaries(tmp_path):
    classes = {"a": (3, 4, 5), "b": (6, 7, 8), "c": (9, 10, 11)}
    report = assess_file(write_salaries(tmp_path / "t.csv", classes), ["place"], ["salary"])
    assert report["models"]["t_ordered"] == pytest.approx(0.375)


def test_the_t_closeness_paper_finds_0_1667_for_the_class_of_spread_salaries(tmp_path):
    # The complement of {6, 8, 11} is balanced the other way, over twice as many records.
    classes = {"b": (6, 8, 11), "rest": (3, 4, 5, 7, 9, 10)}
    report = assess_file(write_salaries(tmp_path / "t.csv", classes), ["place"], ["salary"])
    assert report["models"]["t_ordered"] == pytest.approx(1 / 6, abs=1e-12)
