#!/usr/bin/python3
"""align-ids.py ROOT: gives the users and groups of another release's root the numbers that this system has for them.

Packages number their users in the order of installation, so keystone is 106 here and 105 there; files that both sides
write need one number. A name that only ROOT has, but whose number means somebody else here, gets a free one. Changes
ROOT's passwd and group and the owners of its files; must run before anything is mounted below ROOT.
"""
import os
import stat
import subprocess
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split(":") for line in file if line.strip()]


def write(path, rows):
    # A new file in place of the old one: a crash half way must not leave a root without users.
    mode = os.stat(path).st_mode
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.writelines(":".join(row) + "\n" for row in rows)
    os.chmod(path + ".new", stat.S_IMODE(mode))
    os.replace(path + ".new", path)


def moves(here, there):
    """Old number in ROOT -> new number, for all names whose number has to change."""
    mine = {row[0]: int(row[2]) for row in here}
    theirs = {row[0]: int(row[2]) for row in there}
    taken = set(mine.values()) | set(theirs.values())
    result = {}
    for name, number in theirs.items():
        if name in mine:
            new = mine[name]
        elif number in mine.values():
            new = next(n for n in range(200, 1000) if n not in taken)
            taken.add(new)
        else:
            continue
        if new != number:
            result[number] = new
    return result


def main(root):
    passwd, group = read(f"{root}/etc/passwd"), read(f"{root}/etc/group")
    users = moves(read("/etc/passwd"), passwd)
    groups = moves(read("/etc/group"), group)
    if not users and not groups:
        return

    # The files first: numbers are read from the file system, so a second run after a crash would not find them again
    # once passwd says otherwise. One pass, each file once: numbers may swap.
    found = subprocess.run(
        ["find", f"{root}/etc", f"{root}/var", f"{root}/usr", "-xdev",
         "(", "-not", "-uid", "0", "-o", "-not", "-gid", "0", ")", "-print0"],
        check=True, stdout=subprocess.PIPE).stdout
    changed = 0
    for path in found.split(b"\0"):
        if not path:
            continue
        info = os.lstat(path)
        uid, gid = users.get(info.st_uid, info.st_uid), groups.get(info.st_gid, info.st_gid)
        if (uid, gid) == (info.st_uid, info.st_gid):
            continue
        os.lchown(path, uid, gid)
        changed += 1
        # chown takes set-user-id and set-group-id away.
        if stat.S_ISREG(info.st_mode) and info.st_mode & 0o6000:
            os.chmod(path, stat.S_IMODE(info.st_mode))

    for row in group:
        row[2] = str(groups.get(int(row[2]), row[2]))
    for row in passwd:
        row[2] = str(users.get(int(row[2]), row[2]))
        row[3] = str(groups.get(int(row[3]), row[3]))
    write(f"{root}/etc/group", group)
    write(f"{root}/etc/passwd", passwd)
    print(f"user ids {users}, group ids {groups}: {changed} files of {root}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"))
