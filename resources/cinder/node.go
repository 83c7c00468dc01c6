package cinder

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"grenade/resources"
)

// bashOptions let a script end at its first error.
const bashOptions = "set -euo pipefail; shopt -s inherit_errexit"

// process is one run of qemu.
type process struct {
	PID string `json:"pid"`
	// Started is in clock ticks since the node's kernel booted: a process that was
	// started again has another, even with the same number.
	Started string `json:"started"`
}

// findProcess finds the qemu of a server ($1 is its id, which libvirt makes the
// machine's uuid) as one line "pid start-time".
const findProcess = `
found=()
for proc in /proc/[0-9]*; do
    [[ $(readlink "$proc/exe" || :) == */qemu-system-* ]] || continue
    tr '\0' '\n' <"$proc/cmdline" | grep -A 1 -x -e -uuid | grep -q -x -F -e "$1" || continue
    stat=$(<"$proc/stat")
    stat=(${stat##*) }) # after the name, which may hold anything, the third field is the first
    found+=("${proc#/proc/} ${stat[19]}")
done
`

// qemu finds the one process that runs a server.
func (i *inside) qemu(ctx context.Context, server string) (any, error) {
	lines, err := i.Lines(ctx, bashOptions+findProcess+`printf '%s\n' "${found[@]}"`, server)
	if err != nil {
		return nil, fmt.Errorf("look for the qemu of server %s: %w", server, err)
	}
	if len(lines) != 1 {
		return nil, &resources.Gone{What: fmt.Sprintf("%d processes of qemu run server %s", len(lines), server)}
	}
	pid, started, _ := strings.Cut(lines[0], " ")
	return process{PID: pid, Started: started}, nil
}

// volumeFile is what is compared of a file that qemu uses.
type volumeFile struct {
	// Inode changes when another file takes its place.
	Inode string `json:"inode"`
	// Bytes is its apparent size; left out where qemu may make it grow.
	Bytes string `json:"bytes,omitempty"`
	// Open says that the server's qemu has this very file open.
	Open string `json:"open"`
	// Regions are hashes of its content.
	Regions sums `json:"regions"`
}

// files are what the attached volumes are kept in: the data volume's file; the
// layered volume's file as it is now, on top, and the one below that holds what
// the snapshot is of.
func (i *inside) files(saved map[string]string, server string, want *asked) []resources.Object {
	top := saved[keyFile(layeredVolume)]
	below := path.Join(path.Dir(top), "volume-"+saved[keyVolume(layeredVolume)])
	objects := []resources.Object{
		{Name: "file_data", Fetch: func(ctx context.Context) (any, error) {
			return i.volumeFile(ctx, saved[keyFile(dataVolume)], server, rawReader, regions(dataVolume))
		}},
		{Name: "file_layered", Fetch: func(ctx context.Context) (any, error) {
			return i.volumeFile(ctx, top, server, layersReader, regions(layeredVolume)[:1])
		}},
		{Name: "file_snapshot", Fetch: func(ctx context.Context) (any, error) {
			return i.volumeFile(ctx, below, server, rawReader, snapshotRegions())
		}},
	}
	if want != nil {
		for n, content := range []sums{want.content[dataVolume], {"begin": want.content[layeredVolume]["begin"]}, {"image": want.image}} {
			objects[n].Asked = map[string]any{"open": "by the server's qemu"}
			for region, sum := range content {
				objects[n].Asked["regions."+region] = sum
			}
		}
	}
	return objects
}

// Readers print $length bytes at $offset of "$file". The second sees what a
// guest sees of a file on top of another. It can only read from the beginning:
// with an offset, "qemu-img dd" counts differently from release to release.
const (
	rawReader    = `dd if="$file" bs=512 skip=$((offset / 512)) count=$((length / 512)) status=none`
	layersReader = `{
        ((offset == 0))
        copy=$(mktemp)
        qemu-img dd -U -O raw bs=512 count=$((length / 512)) if="$file" of="$copy"
        cat "$copy"
        rm -f "$copy"
    }`
)

// volumeFile looks at a file: its inode, its size if it is raw, whether the
// server's qemu has it open, and what lies in the regions.
func (i *inside) volumeFile(ctx context.Context, file, server, reader string, where []region) (any, error) {
	args := []string{server, file}
	for _, r := range where {
		args = append(args, fmt.Sprintf("%s %d %d", r.name, r.offset, r.length))
	}
	lines, err := i.Lines(ctx, bashOptions+findProcess+`
file=$2
[[ -f $file ]] || { echo missing; exit 0; }
stat -c '%i %s' -- "$file"
held=no
for process in "${found[@]}"; do
    for fd in /proc/"${process% *}"/fd/*; do
        [[ $fd -ef $file ]] && held=yes
    done
done
echo "$held"
for region in "${@:3}"; do
    read -r name offset length <<<"$region"
    sum=$(`+reader+` | sha256sum)
    echo "$name ${sum%% *}"
done`, args...)
	if err != nil {
		return nil, fmt.Errorf("look at file %s: %w", file, err)
	}
	seen, err := parseVolumeFile(lines)
	if err != nil {
		return nil, fmt.Errorf("look at file %s: %w", file, err)
	}
	if reader != rawReader {
		seen.Bytes = ""
	}
	return seen, nil
}

func parseVolumeFile(lines []string) (*volumeFile, error) {
	if len(lines) == 1 && lines[0] == "missing" {
		return nil, &resources.Gone{What: "no such file"}
	}
	if len(lines) < 2 {
		return nil, fmt.Errorf("unexpected output %q", lines)
	}
	inode, size, found := strings.Cut(lines[0], " ")
	if !found {
		return nil, errors.New("no inode and size in " + lines[0])
	}
	seen := &volumeFile{Inode: inode, Bytes: size, Open: "by nobody who runs the server", Regions: sums{}}
	if lines[1] == "yes" {
		seen.Open = "by the server's qemu"
	}
	for _, line := range lines[2:] {
		name, sum, found := strings.Cut(line, " ")
		if !found {
			return nil, fmt.Errorf("unexpected line %q", line)
		}
		seen.Regions[name] = sum
	}
	return seen, nil
}
