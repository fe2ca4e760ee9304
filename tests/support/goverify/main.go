// Checks our audit log with code we did not write: the note and tlog packages of golang.org/x/mod.
//
//	goverify log FOLDER VKEY [OLDER-CHECKPOINT-FILE]
//	goverify proof PROOF-FILE LEAF-FILE VKEY
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	var err error
	switch {
	case len(os.Args) >= 4 && os.Args[1] == "log":
		err = checkLog(os.Args[2], os.Args[3], os.Args[4:])
	case len(os.Args) == 5 && os.Args[1] == "proof":
		err = checkProof(os.Args[2], os.Args[3], os.Args[4])
	default:
		err = fmt.Errorf("usage: goverify log FOLDER VKEY [OLDER-CHECKPOINT-FILE], or goverify proof PROOF-FILE LEAF-FILE VKEY; VKEY is the key itself, such as \"$(cat vkey.txt)\"")
	}
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

// openCheckpoint verifies the signature and reads the three lines of a C2SP checkpoint.
func openCheckpoint(data []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// folder reads tiles in the C2SP layout, which drops the height that Go's own path carries.
type folder struct{ path string }

func (f folder) Height() int                         { return 8 }
func (f folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		name := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(f.path, name))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// bundle reads the entries of one bundle: each after its big-endian 16-bit length.
func (f folder) bundle(number, width int64) ([][]byte, error) {
	tile := tlog.Tile{H: 8, L: 0, N: number, W: int(width)}
	name := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(f.path, name))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle %d ends inside an entry", number)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if int64(len(entries)) != width {
		return nil, fmt.Errorf("bundle %d holds %d entries, not %d", number, len(entries), width)
	}
	return entries, nil
}

func checkLog(path, vkey string, older []string) error {
	data, err := os.ReadFile(filepath.Join(path, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(data, vkey)
	if err != nil {
		return err
	}
	files := folder{path}
	// Every tile read through this is authenticated against the signed root first.
	authenticated := tlog.TileHashReader(tree, files)
	var stored []tlog.Hash
	own := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, stored[index])
		}
		return found, nil
	})
	for first := int64(0); first < tree.N; first += 256 {
		entries, err := files.bundle(first/256, min(256, tree.N-first))
		if err != nil {
			return err
		}
		var indexes []int64
		for place := range entries {
			indexes = append(indexes, tlog.StoredHashIndex(0, first+int64(place)))
		}
		hashes, err := authenticated.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for place, entry := range entries {
			if hashes[place] != tlog.RecordHash(entry) {
				return fmt.Errorf("entry %d is not the one its tile names", first+int64(place))
			}
			more, err := tlog.StoredHashes(first+int64(place), entry, own)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
		}
	}
	root, err := tlog.TreeHash(tree.N, own)
	if err != nil || root != tree.Hash {
		return fmt.Errorf("the entries do not give the signed root (%v)", err)
	}
	for _, file := range older {
		if err := checkOlder(file, vkey, tree, authenticated); err != nil {
			return err
		}
	}
	fmt.Printf("accepted size=%d root=%s\n", tree.N, tree.Hash)
	return nil
}

func checkOlder(file, vkey string, tree tlog.Tree, reader tlog.HashReader) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	old, err := openCheckpoint(data, vkey)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, old.N, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

func checkProof(proofFile, leafFile, vkey string) error {
	data, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(leafFile)
	if err != nil {
		return err
	}
	head, checkpoint, found := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return fmt.Errorf("not a tlog-proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return fmt.Errorf("a hash is malformed")
		}
		path = append(path, tlog.Hash(raw))
	}
	tree, err := openCheckpoint([]byte(checkpoint), vkey)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
		return err
	}
	fmt.Printf("accepted index=%d size=%d\n", index, tree.N)
	return nil
}
