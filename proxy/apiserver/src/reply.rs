//! Answers as bytes: objects, lists, events of a watch, Status; whole or metadata only.

use crate::resources::Resource;
use crate::status::StatusError;
use crate::store::Object;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// A whole body, or one that is written as it goes.
pub(crate) type Reply = Response<Either<Full<Bytes>, Stream>>;

/// A body that somebody else writes: it ends when the sender is dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    receiver: mpsc::Receiver<Bytes>,
}

/// How much of objects a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

/// Kinds of events of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventType {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

impl Shape {
    /// The first of the forms in `Accept` that is served.
    ///
    /// # Errors
    ///
    /// 406: none is.
    pub(crate) fn accepted(headers: &HeaderMap) -> Result<Self, StatusError> {
        let accept = headers.get(ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
        if accept.trim().is_empty() {
            return Ok(Self::Whole);
        }
        accept.split(',').find_map(Self::of).ok_or_else(StatusError::not_acceptable)
    }

    fn of(media_range: &str) -> Option<Self> {
        let mut parameters = media_range.split(';').map(str::trim);
        if !matches!(parameters.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let parameters: Vec<_> = parameters.filter_map(|it| it.split_once('=')).collect();
        let get = |name| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        match get("as") {
            None => Some(Self::Whole),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if get("v") == Some("v1") => {
                Some(Self::Metadata)
            }
            Some(_) => None,
        }
    }

    /// An object as JSON.
    pub(crate) fn write(self, resource: &Resource, object: &Object, out: &mut Vec<u8>) {
        match self {
            Self::Whole => object.write_to(resource, out),
            Self::Metadata => {
                let metadata = &object.value["metadata"];
                let partial =
                    json!({"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": metadata});
                out.extend_from_slice(partial.to_string().as_bytes());
            }
        }
    }

    /// A list. Items of whole objects go without kind and version, as the API server sends them.
    pub(crate) fn list<'a>(
        self,
        resource: &Resource,
        objects: impl Iterator<Item = &'a Object>,
        metadata: &Value,
    ) -> Vec<u8> {
        let (kind, version) = match self {
            Self::Whole => (format!("{}List", resource.kind), resource.api_version()),
            Self::Metadata => ("PartialObjectMetadataList".to_owned(), META.to_owned()),
        };
        let head = format!(r#"{{"kind":"{kind}","apiVersion":"{version}","metadata":{metadata},"items":["#);
        let mut out = head.into_bytes();
        for (index, object) in objects.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match self {
                Self::Whole => out.extend_from_slice(object.item()),
                Self::Metadata => self.write(resource, object, &mut out),
            }
        }
        out.extend_from_slice(b"]}\n");
        out
    }

    /// A line of a watch.
    pub(crate) fn event(self, resource: &Resource, kind: EventType, object: &Object, out: &mut Vec<u8>) {
        kind.open(out);
        self.write(resource, object, out);
        out.extend_from_slice(b"}\n");
    }

    /// A bookmark: nothing happened up to this version. `end` says that it is behind what was there at the start.
    pub(crate) fn bookmark(self, resource: &Resource, version: u64, end: bool, out: &mut Vec<u8>) {
        let (kind, api_version) = match self {
            Self::Whole => (resource.kind, resource.api_version()),
            Self::Metadata => ("PartialObjectMetadata", META.to_owned()),
        };
        let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        if end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        EventType::Bookmark.open(out);
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        out.extend_from_slice(object.to_string().as_bytes());
        out.extend_from_slice(b"}\n");
    }
}

impl EventType {
    fn open(self, out: &mut Vec<u8>) {
        let name = match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
            Self::Error => "ERROR",
        };
        out.extend_from_slice(format!(r#"{{"type":"{name}","object":"#).as_bytes());
    }
}

impl Stream {
    pub(crate) fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self { receiver }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(ready!(self.receiver.poll_recv(cx)).map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// An `ERROR` line of a watch.
pub(crate) fn error_event(error: &StatusError) -> Vec<u8> {
    let mut out = Vec::new();
    EventType::Error.open(&mut out);
    out.extend_from_slice(error.status().to_string().as_bytes());
    out.extend_from_slice(b"}\n");
    out
}

/// A refusal.
pub(crate) fn refuse(error: &StatusError) -> Reply {
    let mut reply = json(error.code, error.status().to_string().into_bytes());
    if let Some(seconds) = error.retry_after {
        reply.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    reply
}

/// A document.
pub(crate) fn json(code: u16, body: Vec<u8>) -> Reply {
    whole(code, "application/json", body.into())
}

/// Plain text.
pub(crate) fn text(code: u16, body: &'static str) -> Reply {
    whole(code, "text/plain; charset=utf-8", Bytes::from_static(body.as_bytes()))
}

/// An OpenAPI document (version 2) about nothing: in protobuf it has no bytes.
pub(crate) fn openapi_v2() -> Reply {
    whole(200, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf", Bytes::new())
}

/// An answer whose body is written as it goes.
pub(crate) fn stream(body: Stream) -> Reply {
    let mut reply = Response::new(Either::Right(body));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn whole(code: u16, media_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body)));
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply
}

const META: &str = "meta.k8s.io/v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_served_is_taken() {
        let shape = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            Shape::accepted(&headers).ok()
        };
        assert_eq!(shape("application/json"), Some(Shape::Whole));
        assert_eq!(shape("*/*"), Some(Shape::Whole));
        assert_eq!(
            shape("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
            Some(Shape::Whole)
        );
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(shape(metadata), Some(Shape::Metadata));
        assert_eq!(shape("application/vnd.kubernetes.protobuf"), None);
        assert_eq!(Shape::accepted(&HeaderMap::new()), Ok(Shape::Whole));
    }
}
