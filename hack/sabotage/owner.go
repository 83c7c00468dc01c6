package main

import (
	"errors"
	"io/fs"
	"syscall"
)

// owner returns who owns the file.
func owner(info fs.FileInfo) (uid, gid int, err error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, errors.New("the file system does not tell the owner")
	}
	return int(stat.Uid), int(stat.Gid), nil
}
