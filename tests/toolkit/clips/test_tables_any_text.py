"""Any text gives the right table or one line of error."""

import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st

from any_text import CSV_TEXT, FNAMES, FUZZ, LAYOUT, TEXT, outcome, parsed, write_csv
from toolkit.clips.tables import read_table, write_table


@FUZZ
@given(
    fnames=FNAMES,
    further=st.lists(TEXT.filter(lambda name: name not in ("fname", "labels")), unique=True, max_size=2),
    layout=LAYOUT,
    data=st.data(),
)
def test_valid_tables_are_read_cell_by_cell(fnames, further, layout, data, any_file):
    header = data.draw(st.permutations(["fname", "labels", *further]))
    frame = {name: data.draw(st.lists(TEXT, min_size=len(fnames), max_size=len(fnames))) for name in header}
    frame["fname"] = fnames
    rows = [header, *map(list, zip(*(frame[name] for name in header), strict=True))]
    write_csv(any_file, rows, layout)
    read = read_table(any_file, ["fname", "labels"])
    assert read["fname"].tolist() == fnames and read["labels"].tolist() == frame["labels"]


@FUZZ
@given(content=CSV_TEXT.map(str.encode) | st.binary(max_size=40))
@example(content=b'a,"\n"')
def test_any_text_as_a_table(content, any_file):
    for damaged in (content, b"fname,labels\n" + content):
        any_file.write_bytes(damaged)
        read = outcome(read_table, any_file, ["fname", "labels"])
        rows = parsed(damaged, ["fname", "labels"])
        assert (read is None) == (rows is None)
        if read is not None:
            assert read.values.tolist() == rows


@FUZZ
@given(fnames=FNAMES, data=st.data())
def test_tables_written_are_read_again(fnames, data, any_file):
    cells = data.draw(st.lists(TEXT | CSV_TEXT, min_size=len(fnames), max_size=len(fnames)))
    write_table(any_file, pd.DataFrame({"fname": fnames, "labels": cells}))
    read = read_table(any_file, ["fname", "labels"])
    assert read["fname"].tolist() == fnames and read["labels"].tolist() == cells
