//! One request: recorded, maybe failed, authenticated, authorised, answered.

use crate::discovery;
use crate::faults::Failure;
use crate::list::Page;
use crate::patch::Form;
use crate::registry::{Deleted, Origin, Preconditions, Write, text};
use crate::reply::{self, Reply, Shape};
use crate::request::{Objects, Query, Target, Verb};
use crate::shared::Shared;
use crate::status::StatusError;
use crate::store::{Key, Object};
use crate::watch::{self, Ask};
use crate::wire::Control;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

/// Answers one request.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    control: Arc<Control>,
    request: hyper::Request<Incoming>,
) -> Result<Reply, Infallible> {
    let reply = Exchange { shared, control }.answer(request).await;
    Ok(reply.unwrap_or_else(|error| reply::refuse(&error)))
}

struct Exchange {
    shared: Arc<Shared>,
    control: Arc<Control>,
}

impl Exchange {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<Reply, StatusError> {
        let (head, body) = request.into_parts();
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let target = Target::parse(&head.method, head.uri.path(), &query)?;
        let asked = target.request();
        self.shared.record(asked.clone());
        // In the order in which requests came, however long each is delayed.
        let failure = self.shared.faults.failure(&asked);
        tokio::time::sleep(self.shared.faults.delay(&asked)).await;
        match failure {
            None => {}
            Some(Failure::Answer(code, retry_after)) => return Err(StatusError::failure(code, retry_after)),
            Some(Failure::Reset) => {
                self.control.reset();
                pending::<()>().await;
            }
            Some(Failure::Hang) => pending().await,
        }
        // Who has a certificate may do everything.
        if !self.control.is_certified() {
            let user = self.authenticate(&head.headers)?;
            self.shared.access.lock().check(&user, &asked)?;
        }
        let objects = match target {
            Target::Path(path) => return discovery::answer(&path),
            Target::Objects(objects) => objects,
        };
        let shape = Shape::accepted(&head.headers)?;
        match objects.verb {
            Verb::Get => self.get(&objects, shape),
            Verb::List => self.list(&objects, &query, shape),
            Verb::Watch => {
                let ask = Ask::parse(&query)?;
                let stream = watch::open(&self.shared, &self.control, objects, ask, (shape, asked));
                Ok(reply::stream(stream))
            }
            _ => {
                let body = read(body).await?;
                self.write(&objects, &query, (&head.headers, &body), shape)
            }
        }
    }

    /// The user. Where tokens are set, only who has one is let in.
    fn authenticate(&self, headers: &HeaderMap) -> Result<String, StatusError> {
        let tokens = self.shared.tokens.lock();
        if tokens.is_empty() {
            return Ok("system:anonymous".to_owned());
        }
        let token = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
        token.and_then(|token| tokens.get(token.trim())).cloned().ok_or_else(StatusError::unauthorized)
    }

    fn get(&self, objects: &Objects, shape: Shape) -> Result<Reply, StatusError> {
        let object = self.shared.registry.lock().get(objects.resource, &key(objects))?;
        Ok(one(200, objects, shape, &object))
    }

    fn list(&self, objects: &Objects, query: &Query, shape: Shape) -> Result<Reply, StatusError> {
        let page = Page::parse(query)?;
        let registry = self.shared.registry.lock();
        Ok(reply::json(200, page.list(&registry.store, objects, shape)?))
    }

    fn write(
        &self,
        objects: &Objects,
        query: &Query,
        (headers, body): (&HeaderMap, &Bytes),
        shape: Shape,
    ) -> Result<Reply, StatusError> {
        let write = Write {
            dry_run: query.get("dryRun") == "All",
            manager: query.get("fieldManager").to_owned(),
            ..self.shared.write(Origin::Client)
        };
        let media_type = media_type(headers);
        let resource = objects.resource;
        let key = key(objects);
        match objects.verb {
            Verb::Create => {
                let object = parse(media_type, body)?;
                let made =
                    self.shared.change(|it| it.create(resource, &objects.namespace, object, &write))?;
                Ok(one(201, objects, shape, &made))
            }
            Verb::Update => {
                let object = parse(media_type, body)?;
                let made =
                    self.shared.change(|it| it.update(resource, &key, objects.part, object, &write))?;
                Ok(one(200, objects, shape, &made))
            }
            Verb::Patch => {
                let form = Form::of(media_type)?;
                let patch = parse(if form == Form::Apply { YAML } else { JSON }, body)?;
                let (is_new, made) = self.shared.change(|it| {
                    let is_new = it.store.get(resource, &key).is_none();
                    (is_new, it.patch(resource, &key, objects.part, (form, &patch), &write))
                });
                let made = made?;
                Ok(one(if is_new { 201 } else { 200 }, objects, shape, &made))
            }
            Verb::Delete => {
                let (preconditions, dry_run) = delete_options(media_type, body)?;
                let write = Write { dry_run: write.dry_run || dry_run, ..write };
                let deleted = self.shared.change(|it| it.delete(resource, &key, &preconditions, &write))?;
                Ok(match deleted {
                    Deleted::Waiting(object) => one(200, objects, shape, &object),
                    Deleted::Gone(object) => {
                        reply::json(200, success(objects, &object).to_string().into_bytes())
                    }
                })
            }
            _ => {
                let all = |it: &mut crate::registry::Registry| {
                    it.delete_all(resource, &objects.namespace, &objects.selector, &write)
                };
                let deleted = self.shared.change(all);
                let version = json!({"resourceVersion": self.shared.version.borrow().to_string()});
                Ok(reply::json(200, shape.list(resource, deleted.iter().map(|it| &**it), &version)))
            }
        }
    }
}

fn key(objects: &Objects) -> Key {
    Key::new(&objects.namespace, &objects.name)
}

fn one(code: u16, objects: &Objects, shape: Shape, object: &Object) -> Reply {
    let mut out = Vec::new();
    shape.write(objects.resource, object, &mut out);
    out.push(b'\n');
    reply::json(code, out)
}

/// What a delete answers when the object is gone.
fn success(objects: &Objects, object: &Object) -> Value {
    let resource = objects.resource;
    let (name, uid) = (&objects.name, text(&object.value, "uid"));
    let details = json!({"name": name, "group": resource.group, "kind": resource.plural, "uid": uid});
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

fn delete_options(media_type: &str, body: &Bytes) -> Result<(Preconditions, bool), StatusError> {
    if body.is_empty() {
        return Ok((Preconditions::default(), false));
    }
    let options = parse(media_type, body)?;
    let text = |pointer: &str| options.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let preconditions =
        Preconditions { uid: text("/preconditions/uid"), version: text("/preconditions/resourceVersion") };
    let dry_run = options["dryRun"].as_array().is_some_and(|it| it.iter().any(|it| it == "All"));
    Ok((preconditions, dry_run))
}

async fn read(body: Incoming) -> Result<Bytes, StatusError> {
    let whole = Limited::new(body, MAX_BODY).collect().await;
    whole.map(http_body_util::Collected::to_bytes).map_err(|_| StatusError::too_large_body(MAX_BODY))
}

fn media_type(headers: &HeaderMap) -> &str {
    let given = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim()
}

fn parse(media_type: &str, body: &Bytes) -> Result<Value, StatusError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        StatusError::bad_request(format!("the object provided is unrecognized: {error}"))
    };
    match media_type {
        JSON | "" => serde_json::from_slice(body).map_err(|error| unreadable(&error)),
        YAML => {
            let text = std::str::from_utf8(body).map_err(|error| unreadable(&error))?;
            serde_saphyr::from_str(text).map_err(|error| unreadable(&error))
        }
        _ => Err(StatusError::unsupported_media_type("application/json, application/yaml")),
    }
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// Bytes of a body, as the API server has it.
const MAX_BODY: usize = 3 * 1024 * 1024;
