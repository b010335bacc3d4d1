package boltfile

import (
	"fmt"

	"go.etcd.io/bbolt"
)

// Where a file records its layout. The bucket's name sorts first, and no store
// uses it.
var (
	layoutBucket = []byte("\x00layout")
	layoutKey    = []byte("layout")
)

// foreignLayout is the layout of a database without a record of its layout.
const foreignLayout = "another program's database"

// layoutOf returns "" for a new database.
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

type otherLayout struct{ found, wanted string }

func (o otherLayout) Error() string {
	return fmt.Sprintf("it holds %s, and this program reads %s: start the version that wrote it, or choose another directory", o.found, o.wanted)
}
