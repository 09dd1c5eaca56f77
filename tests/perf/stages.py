"""What the samples of a profile were doing, by stage of the broker's work."""
import collections
import re
import subprocess

# What, and names one of which is in the stack; the first that fits counts. {thread}: shard, commit, files, iou.
STAGES = (
    ("answers out, with loopback's receiving half of TCP", r"tcp_sendmsg|io_send\b"),
    ("requests in", r"tcp_recvmsg|io_recv\b|frame_reader"),
    ("disk: sync ({thread})", r"ext4_sync_file|blkdev_issue_flush|generic_write_sync"),
    ("disk: write ({thread})", r"iomap_dio_rw|ext4_file_write_iter|blk_finish_plug|blk_mq_"),
    ("page faults: memory touched for the first time", r"asm_exc_page_fault"),
    ("sleeping and waking ({thread})", r"schedule"),
    ("check of a produced batch", r"check_produced_batch"),
    ("processors", r"shard_host::"),
    ("append: copy into the open frame", r"store_core::append"),
    ("spill into segments", r"spiller::"),
    ("sealing a frame", r"wal::"),
    ("system calls, the rest ({thread})", r"do_syscall_64|el0_svc"),
    ("all else ({thread})", r""),
)


def by_stage(data):
    """[(share of the samples, stage)], the largest first, of a file that `perf record -g` wrote."""
    text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym"], capture_output=True, text=True, check=True).stdout
    counts = collections.Counter()
    for sample in text.split("\n\n"):
        thread, _, stack = sample.strip().partition("\n")
        if thread:
            what = next(what for what, names in STAGES if re.search(names, stack))
            counts[what.format(thread=thread.strip().split("-")[0])] += 1
    total = max(1, sum(counts.values()))
    return [(count / total, what) for what, count in counts.most_common()]


def table(data, cpu_us_per_record):
    """As lines of Markdown, with what each stage takes of a record's CPU."""
    lines = ["| stage | share | CPU ns a record |", "|---|---:|---:|"]
    return lines + [f"| {what} | {share:.1%} | {share * cpu_us_per_record * 1000:,.0f} |"
                    for share, what in by_stage(data) if share >= 0.005]
