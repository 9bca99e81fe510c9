"""What the tables say, against the papers as printed (arXiv:1706.09138, 1809.01396)."""

import pathlib

import pytest

from pan_tf import recipes
from pan_tf.config import RECIPE_NAMES
from pan_tf.config import Config
from pan_tf.papers.reproduction import TABLES
from pan_tf.papers.reproduction import Budget

CONFIGS = pathlib.Path(__file__).parents[3] / "configs"

PRINTED = {
    "pan3": """22.77 .7959 .6261 .3570 21.87 .7306 .5810 .3173 22.19 .8083 .6278 .3640
        22.91 .8198 .6473 .3885 23.35 .8303 .6644 .4050 23.22 .8078 .6375 .3904""",
    "pan4": "21.74 .8242 .7828 .5818 21.85 .8307 .7956 .6104",
    "pan5": """15.74 .4275 .0732 .0521 16.06 .4820 .1116 .0658
        20.07 .7504 .2724 .2268 19.51 .7816 .3442 .2393
        16.50 .6307 .3978 .1723 15.90 .6570 .4042 .1841
        19.46 .7270 .1555 .1180 20.67 .7725 .1732 .1638
        26.10 .6465 .0913 .0291 28.32 .7520 .3372 .1617""",
    # C2ST, there times 100, and log-loss: of a smile, of gender, of hair colour.
    "pd1": """.001 1.3 .006 .6 .053 1.2 .086 .4 .052 .7
        .0001 .5 .0003 1.5 .0035 .8 .0021 .1 .0024 .1
        .0001 1.14 .0006 2.33 .0049 2.41 .0096 1.3 .0129 1.24""",
}


@pytest.mark.parametrize("table", PRINTED)
def test_numbers_are_those_printed(table):
    numbers = [
        value
        for task in TABLES[table].tasks
        for system in task.systems
        if system.paper
        for value in system.paper.values()
    ]
    assert numbers == [float(text) for text in PRINTED[table].split()]


@pytest.mark.parametrize("table", TABLES)
def test_every_system_is_legal_on_its_task(table):
    for task in TABLES[table].tasks:
        config = Config.from_flagfile(CONFIGS / f"{task.config}.cfg")
        names = [system.name for system in task.systems]
        assert len(set(names)) == len(names)
        for system in task.systems:
            assert system.init_from in (None, *names)
            if system.recipe is None:
                assert system.name == "dfi"
                continue
            assert system.recipe in RECIPE_NAMES
            settings = {**task.settings, **system.settings}
            changed = config.replace(recipe=system.recipe, **settings)
            assert recipes.resolve(changed).paired <= TABLES[table].paired


def test_tasks_of_one_flagfile_are_told_apart():
    for table in TABLES.values():
        names = [task.name for task in table.tasks]
        assert len(set(names)) == len(names)


def test_fig_4_has_one_layer_at_a_time():
    (task,) = TABLES["pan_fig4"].tasks
    lambdas = [system.settings["lambdas"] for system in task.systems]
    assert [sum(row) for row in lambdas] == [1.0] * 4
    assert [row.index(1.0) for row in lambdas] == [0, 1, 2, 3]


def test_fig_5_begins_without_an_adversarial_loss():
    (task,) = TABLES["pan_fig5"].tasks
    assert task.systems[0].settings == {"theta": 0.0}


def test_budget():
    assert Budget.parse("4000,64,2") == Budget(4000, 64, 2)
    assert Budget.parse(",,2") == Budget(None, None, 2)
    assert Budget.parse("4000,,1") == Budget(4000, None, 1)
    for text in ("4000", "4000,64", "4000,64,0", "a,b,c", "1,2,3,4", ",,", "0,,1"):
        with pytest.raises(ValueError, match="--budget must be"):
            Budget.parse(text)
