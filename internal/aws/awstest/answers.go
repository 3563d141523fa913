package awstest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// XML is a success of the query protocol. {request} in the body stands for the request id.
func XML(body string) Answer {
	return func(w http.ResponseWriter) {
		head(w, "text/xml", http.StatusOK)
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "{request}", RequestID))
	}
}

// XMLError is an error of the query protocol, as IAM, STS, SES and SNS document it.
func XMLError(status int, code, message string) Answer {
	return func(w http.ResponseWriter) {
		head(w, "text/xml", status)
		fault := "Sender"
		if status >= 500 {
			fault = "Receiver"
		}
		_, _ = fmt.Fprintf(w, "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\n  <Error>\n    <Type>%s</Type>\n    <Code>%s</Code>\n    <Message>%s</Message>\n  </Error>\n  <RequestId>%s</RequestId>\n</ErrorResponse>",
			fault, code, Escape(message), RequestID)
	}
}

// JSON is a success of the JSON protocols.
func JSON(body string) Answer {
	return func(w http.ResponseWriter) {
		head(w, "application/x-amz-json-1.1", http.StatusOK)
		_, _ = io.WriteString(w, body)
	}
}

// JSONError is an error of the JSON protocols: the type may carry a namespace before a hash sign, as the services send it.
func JSONError(status int, errorType, message string) Answer {
	return func(w http.ResponseWriter) {
		body, err := json.Marshal(map[string]string{"__type": errorType, "Message": message, "message": message})
		if err != nil {
			panic(err)
		}
		head(w, "application/x-amz-json-1.1", status)
		_, _ = w.Write(body)
	}
}

// Raw is any status with any body, as a proxy between us and the service may send it.
func Raw(status int, contentType, body string) Answer {
	return func(w http.ResponseWriter) {
		head(w, contentType, status)
		_, _ = io.WriteString(w, body)
	}
}

// Lost closes the connection after the request was read: the service may have done what was asked.
func Lost(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.Close()
}

// Cut promises a longer answer than it sends, and closes the connection.
func Cut(body string) Answer {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)+100))
		head(w, "text/xml", http.StatusOK)
		_, _ = io.WriteString(w, body)
	}
}

// Times repeats an answer.
func Times(n int, a Answer) []Answer { return slices.Repeat([]Answer{a}, n) }

// Escape is text as it stands in XML.
func Escape(text string) string {
	var out strings.Builder
	if err := xml.EscapeText(&out, []byte(text)); err != nil {
		panic(err)
	}
	return out.String()
}

func head(w http.ResponseWriter, contentType string, status int) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Requestid", RequestID)
	w.WriteHeader(status)
}
