package boltfile

import (
	"fmt"

	"go.etcd.io/bbolt"
)

// Where a file says what it holds. The name of the bucket sorts before others
// and is no name of a thing that is kept.
var (
	layoutBucket = []byte("\x00layout")
	layoutKey    = []byte("layout")
)

// foreignLayout is the layout of a database that says nothing of its own.
const foreignLayout = "another program's database"

// layoutOf returns the layout of a database, or "" if it is new.
func layoutOf(tx *bbolt.Tx) string {
	if b := tx.Bucket(layoutBucket); b != nil {
		return string(b.Get(layoutKey))
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return foreignLayout
	}
	return ""
}

func putLayout(tx *bbolt.Tx, layout string) error {
	b, err := tx.CreateBucketIfNotExists(layoutBucket)
	if err != nil {
		return err
	}
	return b.Put(layoutKey, []byte(layout))
}

// otherLayout says that a file holds something else than was expected.
type otherLayout struct{ found, wanted string }

func (o otherLayout) Error() string {
	return fmt.Sprintf("it holds %s, and this program reads %s: start the version that wrote it, or choose another directory", o.found, o.wanted)
}
