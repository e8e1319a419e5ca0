{{- define "weir.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of nearly all objects: the release's, with the chart's in it. */}}
{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "weir.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "weir.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "weir.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "weir.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "weir.selector" -}}
app.kubernetes.io/name: {{ include "weir.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.controller.name }}
{{- end -}}

{{/* Labels of all objects. */}}
{{- define "weir.labels" -}}
app.kubernetes.io/name: {{ include "weir.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "weir.name" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "weir.image" -}}
{{- $image := .Values.controller.image -}}
{{- $registry := default (dig "image" "registry" "" (default dict .Values.global)) $image.registry -}}
{{- $name := $image.repository -}}
{{- if not $name -}}
{{- $name = ternary (printf "%s/%s" $registry $image.image) $image.image (not (empty $registry)) -}}
{{- end -}}
{{- $name }}:{{ default .Chart.AppVersion $image.tag }}{{ with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* NAMESPACE/NAME of the ConfigMap, and of the Service whose addresses are published. */}}
{{- define "weir.configmap" -}}
{{ default (include "weir.namespace" .) .Values.controller.configMapNamespace }}/{{ include "weir.fullname" . }}-settings
{{- end -}}
{{- define "weir.published" -}}
{{- $internal := and .Values.controller.service.internal.enabled (not .Values.controller.service.external.enabled) -}}
{{- $own := printf "%s/%s%s" (include "weir.namespace" .) (include "weir.fullname" .) (ternary "-internal" "" (not (empty $internal))) -}}
{{- default $own .Values.controller.publishService.pathOverride -}}
{{- end -}}

{{/* Flags of weir as JSON, by name: those of the chart, and over them those of extraArgs. */}}
{{- define "weir.flags" -}}
{{- $c := .Values.controller -}}
{{- $extra := default dict $c.extraArgs -}}
{{- $own := include "weir.namespace" . -}}
{{- $flags := dict "source" "kubernetes" -}}
{{- $_ := set $flags "configmap" (include "weir.configmap" . | replace (printf "%s/" $own) "$(POD_NAMESPACE)/") -}}
{{- if not (hasKey $extra "http-port") -}}
{{- $_ := set $flags "http" (printf "0.0.0.0:%d" (int $c.containerPort.http)) -}}
{{- end -}}
{{- if not (hasKey $extra "https-port") -}}
{{- $_ := set $flags "https" (printf "0.0.0.0:%d" (int $c.containerPort.https)) -}}
{{- end -}}
{{- if not (or (hasKey $extra "healthz-port") (hasKey $extra "healthz-host")) -}}
{{- $_ := set $flags "admin" (printf "%s:%d" (default "0.0.0.0" $c.healthCheckHost) (int $c.metrics.port)) -}}
{{- end -}}
{{- if $c.publishService.enabled -}}
{{- $_ := set $flags "publish-service" (include "weir.published" . | replace (printf "%s/" $own) "$(POD_NAMESPACE)/") -}}
{{- end -}}
{{- if $c.disableLeaderElection -}}
{{- $_ := set $flags "disable-leader-election" "true" -}}
{{- else -}}
{{- $_ := set $flags "election-id" (default (printf "%s-leader" (include "weir.fullname" .)) $c.electionID) -}}
{{- with $c.electionTTL }}{{ $_ := set $flags "election-ttl" . }}{{ end -}}
{{- end -}}
{{- if ne $c.ingressClassResource.controllerValue "weir.dev/ingress-controller" -}}
{{- $_ := set $flags "controller-class" $c.ingressClassResource.controllerValue -}}
{{- end -}}
{{- if ne $c.ingressClass "weir" }}{{ $_ := set $flags "ingress-class" $c.ingressClass }}{{ end -}}
{{- if $c.ingressClassByName }}{{ $_ := set $flags "ingress-class-by-name" "true" }}{{ end -}}
{{- if $c.watchIngressWithoutClass }}{{ $_ := set $flags "watch-ingress-without-class" "true" }}{{ end -}}
{{- if $c.enableTopologyAwareRouting }}{{ $_ := set $flags "enable-topology-aware-routing" "true" }}{{ end -}}
{{- if $c.reportNodeInternalIp }}{{ $_ := set $flags "report-node-internal-ip-address" "true" }}{{ end -}}
{{- if $c.scope.enabled -}}
{{- $_ := set $flags "watch-namespace" (default $own $c.scope.namespace) -}}
{{- else if $c.scope.namespaceSelector -}}
{{- $_ := set $flags "watch-namespace-selector" $c.scope.namespaceSelector -}}
{{- end -}}
{{- $left := sub (int $c.terminationGracePeriodSeconds) (add (int $c.shutdownDelay) 20) -}}
{{- if not (hasKey $extra "shutdown-grace-period") -}}
{{- $_ := set $flags "shutdown-delay" (printf "%ds" (int $c.shutdownDelay)) -}}
{{- end -}}
{{- $_ := set $flags "shutdown-timeout" (printf "%ds" $left) -}}
{{- range $name, $value := $extra -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $flags $name -}}
{{- else if kindIs "slice" $value -}}
{{- $_ := set $flags $name $value -}}
{{- else if kindIs "float64" $value -}}
{{- $_ := set $flags $name (printf "%d" (int64 $value)) -}}
{{- else -}}
{{- $_ := set $flags $name (tpl (toString $value) $) -}}
{{- end -}}
{{- end -}}
{{- toJson $flags -}}
{{- end -}}

{{/* The same as arguments. */}}
{{- define "weir.args" -}}
- serve
{{- range $name, $value := include "weir.flags" . | fromJson }}
{{- if kindIs "slice" $value }}
{{- range $value }}
- {{ printf "--%s=%v" $name . | quote }}
{{- end }}
{{- else if eq $value "" }}
- {{ printf "--%s" $name | quote }}
{{- else }}
- {{ printf "--%s=%s" $name $value | quote }}
{{- end }}
{{- end }}
{{- end -}}
