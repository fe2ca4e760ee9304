// Appends entries to a Tessera POSIX log in process, and says how fast they were sequenced and published.
//
// Usage: tessera <folder> <entries> <bytes per entry> <batch> <outstanding>. Prints one JSON object.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// batchAge matches the window for which our sequencer waits for company.
const batchAge = 5 * time.Millisecond

// checkpointInterval is the shortest that Tessera's POSIX storage allows.
const checkpointInterval = 100 * time.Millisecond

type result struct {
	Entries     int     `json:"entries"`
	SequencedS  float64 `json:"sequenced_s"`
	PublishedS  float64 `json:"published_s"`
	CPUSeconds  float64 `json:"cpu_s"`
	ResidentKiB int64   `json:"resident_kib"`
}

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 6 {
		return fmt.Errorf("usage: %s <folder> <entries> <bytes> <batch> <outstanding>", args[0])
	}
	var numbers [4]int
	for place, text := range args[2:] {
		number, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		numbers[place] = number
	}
	appender, shutdown, awaiter, err := open(args[1], uint(numbers[2]), uint(numbers[3]))
	if err != nil {
		return err
	}
	found, err := appendAll(appender, awaiter, entries(numbers[0], numbers[1]), numbers[3])
	if err != nil {
		return err
	}
	if err := shutdown(context.Background()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func open(folder string, batch, outstanding uint) (*tessera.Appender, func(context.Context) error, *tessera.PublicationAwaiter, error) {
	secret, _, err := note.GenerateKey(rand.Reader, "log.example.org/tessera")
	if err != nil {
		return nil, nil, nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx := context.Background()
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	if err != nil {
		return nil, nil, nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(batch, batchAge).
		WithPushback(2 * outstanding).
		WithCheckpointInterval(checkpointInterval)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return nil, nil, nil, err
	}
	return appender, shutdown, tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 5*time.Millisecond), nil
}

func entries(count, size int) []*tessera.Entry {
	made := make([]*tessera.Entry, count)
	for place := range made {
		data := make([]byte, size)
		binary.BigEndian.PutUint64(data, uint64(place))
		made[place] = tessera.NewEntry(data)
	}
	return made
}

// appendAll keeps `outstanding` entries under way until all are sequenced, then waits for the checkpoint that covers the last.
func appendAll(appender *tessera.Appender, awaiter *tessera.PublicationAwaiter, all []*tessera.Entry, outstanding int) (result, error) {
	ctx := context.Background()
	began := time.Now()
	slots := make(chan struct{}, outstanding)
	var waiting sync.WaitGroup
	var lock sync.Mutex
	var last tessera.Index
	var failed error
	for _, entry := range all {
		slots <- struct{}{}
		future := appender.Add(ctx, entry)
		waiting.Add(1)
		go func() {
			defer func() { <-slots; waiting.Done() }()
			index, err := future()
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failed = err
			} else if index.Index >= last.Index {
				last = index
			}
		}()
	}
	waiting.Wait()
	sequenced := time.Since(began).Seconds()
	if failed != nil {
		return result{}, failed
	}
	if _, _, err := awaiter.Await(ctx, func() (tessera.Index, error) { return last, nil }); err != nil {
		return result{}, err
	}
	published := time.Since(began).Seconds()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return result{}, err
	}
	cpu := float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
	resident, err := residentKiB()
	return result{len(all), sequenced, published, cpu, resident}, err
}

// residentKiB is what this process holds now. The kernel's ru_maxrss would still count the parent it was forked from.
func residentKiB() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmRSS:" {
			return strconv.ParseInt(words[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("no VmRSS in /proc/self/status")
}
