// FOLDER: prints the table in it as JSON, {"COLUMN": [type, values], ...}, read by parquet-go.
package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/parquet-go/parquet-go"
)

type features struct {
	Path     string    `parquet:"path"`
	Label    string    `parquet:"label"`
	Features []float32 `parquet:"features,list"`
}

type pca struct {
	Path     string    `parquet:"path"`
	Label    string    `parquet:"label"`
	Features []float32 `parquet:"pca_features,list"`
}

type vector struct {
	Values []float64 `parquet:"values,list" json:"values"`
}

type sparkPca struct {
	Path     string `parquet:"path"`
	Label    string `parquet:"label"`
	Features vector `parquet:"pca_features"`
}

type image struct {
	ID            int64  `parquet:"id"`
	Path          string `parquet:"path"`
	RelativePath  string `parquet:"relative_path"`
	Label         string `parquet:"label"`
	Size          int64  `parquet:"size"`
	Width         int32  `parquet:"width"`
	Height        int32  `parquet:"height"`
	Format        string `parquet:"format"`
	Mode          string `parquet:"mode"`
	ContentSha256 string `parquet:"content_sha256"`
}

type rejected struct {
	Path         string `parquet:"path"`
	RelativePath string `parquet:"relative_path"`
	Label        string `parquet:"label"`
	Size         int64  `parquet:"size"`
	Stage        string `parquet:"stage"`
	Reason       string `parquet:"reason"`
	Message      string `parquet:"message"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func show[Row any](parts []string) {
	table := map[string][]any{}
	kind := reflect.TypeFor[Row]()
	for i := range kind.NumField() {
		values := []any{}
		for _, part := range parts {
			for _, row := range must(parquet.ReadFile[Row](part)) {
				values = append(values, reflect.ValueOf(row).Field(i).Interface())
			}
		}
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("parquet"), ",")
		table[name] = []any{kind.Field(i).Type.String(), values}
	}
	if err := json.NewEncoder(os.Stdout).Encode(table); err != nil {
		panic(err)
	}
}

func main() {
	parts := must(filepath.Glob(filepath.Join(os.Args[1], "*.parquet")))
	file := must(os.Open(parts[0]))
	schema := must(parquet.OpenFile(file, must(file.Stat()).Size())).Schema()
	_, isVector := schema.Lookup("pca_features", "type")
	_, isFeatures := schema.Lookup("features", "list", "element")
	_, isImage := schema.Lookup("width")
	_, isRejected := schema.Lookup("reason")
	switch {
	case isVector:
		show[sparkPca](parts)
	case isFeatures:
		show[features](parts)
	case isImage:
		show[image](parts)
	case isRejected:
		show[rejected](parts)
	default:
		show[pca](parts)
	}
}
