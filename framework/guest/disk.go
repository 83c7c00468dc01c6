package guest

import (
	"bytes"
	"fmt"
)

// SectorSize is the size of a disk's sector in bytes.
const SectorSize = 512

// diskSectors is the size of the root disk: small, because glance, nova and cinder copy it.
const diskSectors = 4 << 20 / SectorSize

// Sector is what the root disk holds in its sector n, counted from 0: a line that says so, filled up with dots. So
// every sector of a copy can be told from every other, and from nothing.
func Sector(n int64) []byte {
	sector := bytes.Repeat([]byte("."), SectorSize)
	copy(sector, fmt.Sprintf("grenade-guest sector %d\n", n))
	sector[SectorSize-1] = '\n'
	return sector
}

func diskImage() []byte {
	image := make([]byte, 0, diskSectors*SectorSize)
	for n := range int64(diskSectors) {
		image = append(image, Sector(n)...)
	}
	return image
}
