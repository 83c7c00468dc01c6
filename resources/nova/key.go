package nova

import (
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// publicKey makes a public key as OpenSSH writes it, and its fingerprint as nova
// shows it: the MD5 of the key in pairs of digits. The private key is thrown
// away: nobody logs in. (RFC 8709 section 4 has the form of an Ed25519 key, RFC
// 4716 section 4 that of the fingerprint.)
func publicKey(comment string) (key, fingerprint string, err error) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	const kind = "ssh-ed25519"
	var blob []byte
	for _, part := range [][]byte{[]byte(kind), public} {
		blob = binary.BigEndian.AppendUint32(blob, uint32(len(part)))
		blob = append(blob, part...)
	}
	sum := md5.Sum(blob)
	pairs := make([]string, 0, len(sum))
	for _, b := range sum {
		pairs = append(pairs, fmt.Sprintf("%02x", b))
	}
	return kind + " " + base64.StdEncoding.EncodeToString(blob) + " " + comment, strings.Join(pairs, ":"), nil
}
