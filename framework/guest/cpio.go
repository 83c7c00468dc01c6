package guest

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
)

// archive is the content of an initial RAM disk. It is written the same whenever its content is the same: entries in the
// order of their names, numbered from 1, without times, all root's.
type archive struct{ entries map[string]entry }

type entry struct {
	mode    uint32 // type and permissions, as in stat(2)
	content []byte // a link's is where it leads
}

// Types of files (inode(7)).
const (
	typeDirectory = 0o040000
	typeRegular   = 0o100000
	typeLink      = 0o120000
	typeMask      = 0o170000
)

func newArchive() *archive { return &archive{entries: map[string]entry{}} }

func (a *archive) directory(name string) { a.add(name, entry{mode: typeDirectory | 0o755}) }

func (a *archive) file(name string, permissions uint32, content []byte) {
	a.add(name, entry{mode: typeRegular | permissions, content: content})
}

func (a *archive) link(name, target string) {
	a.add(name, entry{mode: typeLink | 0o777, content: []byte(target)})
}

// add adds an entry and the directories above it.
func (a *archive) add(name string, e entry) {
	if above := path.Dir(name); above != "." {
		a.directory(above)
	}
	a.entries[name] = e
}

// write writes the archive in cpio's "newc" format, the one that Linux unpacks: a header of 110 characters, the name
// with a zero byte, the content, each padded to four bytes, and an entry named TRAILER!!! at the end (Linux documentation,
// driver-api/early-userspace/buffer-format).
func (a *archive) write(w io.Writer) error {
	out := &padded{to: w}
	number := 0
	for _, name := range slices.Sorted(maps.Keys(a.entries)) {
		number++
		out.entry(number, name, a.entries[name])
	}
	out.entry(0, "TRAILER!!!", entry{})
	return out.err
}

// padded writes until the first error.
type padded struct {
	to  io.Writer
	err error
}

func (p *padded) entry(number int, name string, e entry) {
	links := 1
	if e.mode&typeMask == typeDirectory {
		links = 2
	}
	// Magic, inode, mode, uid, gid, links, time, size, four device numbers, length of the name, no checksum.
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		number, e.mode, 0, 0, links, 0, len(e.content), 0, 0, 0, 0, len(name)+1, 0)
	p.part([]byte(header + name + "\x00"))
	p.part(e.content)
}

// part writes bytes and pads them to a multiple of four.
func (p *padded) part(content []byte) {
	for _, bytes := range [][]byte{content, make([]byte, (4-len(content)%4)%4)} {
		if p.err == nil {
			_, p.err = p.to.Write(bytes)
		}
	}
}
