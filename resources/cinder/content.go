package cinder

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"grenade/resources"
	"grenade/resources/guest"
)

// gib is in bytes: cinder counts volumes in GiB, and calls them GB.
const gib = int64(1) << 30

// region is a part of a volume that holds random bytes. Bytes everywhere are
// multiples of guest.BlockSize.
type region struct {
	name           string
	offset, length int64
}

// regions are where each volume of create has its bytes: data where nothing of a
// partition table would lie, and at its very end; layered where the image has
// put others, and beyond what the image filled.
func regions(what string) []region {
	switch what {
	case dataVolume:
		return []region{{"middle", 1 << 20, 128 << 10}, {"end", gib - 64<<10, 64 << 10}}
	case layeredVolume:
		return []region{{"begin", 0, imageSize / 2}, {"middle", 1 << 20, 64 << 10}}
	}
	return nil
}

// snapshotRegions are the bytes of the image, which the snapshot keeps and the
// layered volume has no longer.
func snapshotRegions() []region { return []region{{"image", 0, imageSize}} }

// imageSize is what the image of the layered volume fills, in bytes.
const imageSize = 256 << 10

// sums are the hashes of a volume's regions, by name.
type sums map[string]string

// random fills a region.
func random(length int64) ([]byte, error) {
	data := make([]byte, length)
	if _, err := rand.Read(data); err != nil {
		return nil, fmt.Errorf("random content: %w", err)
	}
	return data, nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// write fills a volume's regions with new bytes, inside the guest.
func write(ctx context.Context, responder guest.Responder, volume string, where []region) (sums, error) {
	written := sums{}
	for _, r := range where {
		data, err := random(r.length)
		if err != nil {
			return nil, err
		}
		if err := responder.Write(ctx, volume, r.offset, data); err != nil {
			return nil, err
		}
		written[r.name] = hash(data)
	}
	return written, nil
}

// read hashes a volume's regions as the guest sees them, past its page cache. A
// guest that does not answer, or has no such disk, is *resources.Gone: that is
// a finding, too.
func read(ctx context.Context, responder guest.Responder, volume string, where []region) (sums, error) {
	seen := sums{}
	for _, r := range where {
		data, err := responder.Read(ctx, volume, r.offset, r.length)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read volume %s in the guest: %w", volume, ctx.Err())
		}
		if err != nil {
			return nil, &resources.Gone{What: err.Error()}
		}
		seen[r.name] = hash(data)
	}
	return seen, nil
}
