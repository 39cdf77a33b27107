"""Screenshots for the documents: of the right size and colours, small, and without a demo one line."""

import io
import shutil

import make_pictures
import pytest
from PIL import Image


def png(picture: Image.Image) -> bytes:
    output = io.BytesIO()
    picture.save(output, "PNG")
    return output.getvalue()


def test_compressing_keeps_the_picture_within_what_one_sees():
    gradient = Image.merge("RGB", [Image.linear_gradient("L")] * 3)
    small = Image.open(io.BytesIO(make_pictures.compressed(png(gradient)))).convert("RGB")
    pairs = zip(gradient.get_flattened_data(), small.get_flattened_data(), strict=True)
    assert max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True)) <= 4


def test_without_the_demo_it_says_what_to_run(tmp_path):
    with pytest.raises(SystemExit, match=r"^error: .*: expected the experiments of the demo.*`make demo`"):
        make_pictures.main(["--demo", str(tmp_path)])


@pytest.mark.needs_chromium
def test_a_screenshot_is_the_top_of_the_page(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<body style='margin: 0; background: #0b5cad; height: 3000px'>")
    chromium = next(filter(None, map(shutil.which, make_pictures.CHROMIUM)))
    picture = Image.open(io.BytesIO(make_pictures.screenshot(chromium, page, (300, 200)))).convert("RGB")
    assert picture.size == (300, 200)
    assert picture.getcolors() == [(300 * 200, (0x0B, 0x5C, 0xAD))]
