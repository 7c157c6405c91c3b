"""Videos in and out."""

import numpy as np
import pytest
import torch
from PIL import Image

from hrnet_fast.tasks.images import ImageError
from hrnet_fast.tasks.video import VideoReader, VideoWriter, is_video

cv2 = pytest.importorskip("cv2")


def plain(value, size=(64, 48)):
    return Image.new("RGB", size, (value, 0, 255 - value))


def write(path, frames=8, size=(64, 48)):
    with VideoWriter(path, 12.5) as video:
        for number in range(frames):
            video.add(plain(number * 20, size))
    return path


def test_frames_come_back_in_rgb(tmp_path):
    reader = VideoReader(write(tmp_path / "a.mp4"))
    frames = list(reader)
    assert (len(frames), reader.frames, reader.read, reader.fps, reader.cut_off) == (8, 8, 8, 12.5, None)
    for number, frame in enumerate(frames):
        assert frame.dtype == torch.uint8 and frame.shape == (48, 64, 3) and frame.is_contiguous()
        assert np.abs(frame.numpy().astype(int) - (number * 20, 0, 255 - number * 20)).max() <= 8


def test_an_odd_last_row_and_column_are_left_out(tmp_path):
    frame = next(VideoReader(write(tmp_path / "a.mp4", size=(65, 49))))
    assert frame.shape == (48, 64, 3)


def test_a_video_that_ends_early_says_so_after_its_last_frame(tmp_path):
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for seed in range(20):
        writer.write(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = VideoReader(path)
    assert reader.cut_off is None
    frames = len(list(reader))
    assert 5 < frames < 15
    assert reader.cut_off == f"{path} ends after {frames} of the 20 frames that it claims to have: " + (
        "it is cut off or damaged there"
    )


@pytest.mark.parametrize("content", [b"", b"no video", b"\x00\x00\x00\x20ftypisom"], ids=["empty", "text", "header"])
def test_what_is_no_video_is_refused(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="a.mp4 is not a video that OpenCV can read"):
        VideoReader(path)
    with pytest.raises(FileNotFoundError, match="there is no video"):
        VideoReader(tmp_path / "none.mp4")


def test_a_video_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4", 10) as video:
        video.add(plain(0))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_frames_that_the_disk_did_not_take_are_noticed(tmp_path):
    class Full:
        """Takes no more frames and says nothing, as OpenCV's writer on a full disk."""

        def write(self, frame):
            pass

        def release(self):
            real.release()

    with pytest.raises(OSError, match="only 3 of 5 frames of .*a.mp4 were written: is the disk full"):  # noqa: SIM117
        with VideoWriter(tmp_path / "a.mp4", 10) as video:
            for number in range(5):
                video.add(plain(number))
                if number == 2:
                    real, video._writer = video._writer, Full()
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"frame 1 of .* is \(32, 48\)"), VideoWriter(tmp_path / "a.mp4", 10) as video:
        video.add(plain(0))
        video.add(plain(0, (32, 48)))


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OSError, match="cannot write"), VideoWriter(tmp_path / "none" / "a.mp4", 10) as video:
        video.add(plain(0))


@pytest.mark.parametrize(("name", "yes"), [("a.MP4", True), ("b.webm", True), ("c.jpg", False), ("mp4", False)])
def test_videos_are_known_by_their_suffix(name, yes):
    assert is_video(name) == yes
