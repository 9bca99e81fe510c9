import pytest

from pan_tf import files


def test_a_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path):
    files.write(tmp_path / "a.txt", "first")
    files.write(tmp_path / "a.txt", "caf\udce9")
    assert (tmp_path / "a.txt").read_text() == "caf\\udce9"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_somebodys_folder_is_refused_and_ours_is_not(tmp_path):
    files.check_output_dir(tmp_path / "new", "mark")
    files.check_output_dir(tmp_path, "mark")
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ValueError, match="holds files but no mark"):
        files.check_output_dir(tmp_path, "mark")
    (tmp_path / "mark").touch()
    files.check_output_dir(tmp_path, "mark")
