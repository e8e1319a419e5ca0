{{/* What a Deployment and a DaemonSet have in common: metadata and spec of their pods. */}}
{{- define "weir.pod" -}}
{{- $c := .Values.controller -}}
{{- $selector := include "weir.selector" . -}}
{{- $low := or (lt (int $c.containerPort.http) 1024) (lt (int $c.containerPort.https) 1024) -}}
metadata:
  labels:
    {{- include "weir.labels" . | nindent 4 }}
    app.kubernetes.io/component: {{ $c.name }}
    {{- with $c.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $c.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $c.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "weir.serviceAccount" . }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $c.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $c.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $c.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with $c.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.hostname }}
  hostname: {{ tpl (toString .) $ }}
  {{- end }}
  {{- $context := dict "runAsNonRoot" true "runAsUser" (int64 $c.image.runAsUser) "runAsGroup" (int64 $c.image.runAsGroup) "seccompProfile" $c.image.seccompProfile }}
  {{- $sysctls := list }}
  {{- if $low }}
  {{- /* A capability would not reach a process that is not root; this does, and is one of the safe ones. */}}
  {{- $sysctls = append $sysctls (dict "name" "net.ipv4.ip_unprivileged_port_start" "value" "0") }}
  {{- end }}
  {{- range $name, $value := $c.sysctls }}
  {{- $sysctls = append $sysctls (dict "name" $name "value" (toString $value)) }}
  {{- end }}
  {{- with $sysctls }}{{ $_ := set $context "sysctls" . }}{{ end }}
  securityContext:
    {{- toYaml (mergeOverwrite $context (deepCopy (default dict $c.podSecurityContext))) | nindent 4 }}
  {{- with $c.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $c.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $c.affinity }}
  affinity:
    {{- tpl (toYaml $c.affinity) . | nindent 4 }}
  {{- else if ne .kind "DaemonSet" }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- $selector | nindent 16 }}
  {{- end }}
  {{- if $c.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- tpl (toYaml $c.topologySpreadConstraints) . | nindent 4 }}
  {{- else if ne .kind "DaemonSet" }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- $selector | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- with $c.extraInitContainers }}
  initContainers:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ $c.containerName }}
      image: {{ include "weir.image" . | quote }}
      imagePullPolicy: {{ $c.image.pullPolicy }}
      args:
        {{- include "weir.args" . | nindent 8 }}
      env:
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: POD_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        {{- if hasKey (include "weir.flags" . | fromJson) "enable-topology-aware-routing" }}
        - name: NODE_NAME
          valueFrom:
            fieldRef:
              fieldPath: spec.nodeName
        {{- end }}
        {{- with $c.extraEnvs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: {{ $c.containerPort.http }}
          protocol: TCP
          {{- if $c.hostPort.enabled }}
          hostPort: {{ $c.hostPort.ports.http }}
          {{- end }}
        - name: https
          containerPort: {{ $c.containerPort.https }}
          protocol: TCP
          {{- if $c.hostPort.enabled }}
          hostPort: {{ $c.hostPort.ports.https }}
          {{- end }}
        - name: {{ $c.metrics.portName }}
          containerPort: {{ $c.metrics.port }}
          protocol: TCP
      {{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
      {{- with index $c $probe }}
      {{ $probe }}:
        {{- toYaml . | replace "port: metrics" (printf "port: %s" $c.metrics.portName) | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- with $c.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $c.lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- $own := dict "privileged" false "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "runAsNonRoot" true "capabilities" (dict "drop" (list "ALL")) }}
      securityContext:
        {{- toYaml (mergeOverwrite $own (deepCopy (default dict $c.containerSecurityContext))) | nindent 8 }}
      {{- with $c.extraVolumeMounts }}
      volumeMounts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- with $c.extraContainers }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
  {{- with $c.extraVolumes }}
  volumes:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Metadata of both. */}}
{{- define "weir.workload" -}}
name: {{ include "weir.fullname" . }}
namespace: {{ include "weir.namespace" . }}
labels:
  {{- include "weir.labels" . | nindent 2 }}
  app.kubernetes.io/component: {{ .Values.controller.name }}
  {{- with .Values.controller.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  # What checkov asks for and is not so here, and why.
  checkov.io/skip1: CKV_K8S_38=weir watches the API server, and the token is how it says who it is
  {{- if not .Values.controller.image.digest }}
  checkov.io/skip2: CKV_K8S_43=the registry and the digest are yours to name, with controller.image
  {{- end }}
  {{- if ne .Values.controller.image.pullPolicy "Always" }}
  checkov.io/skip3: CKV_K8S_15=what a digest names does not change, and a node that has it need not ask for it
  {{- end }}
  {{- if .Values.controller.hostPort.enabled }}
  checkov.io/skip4: CKV_K8S_26=ports of the node are what this was asked for, where no load balancer is
  {{- end }}
  {{- with .Values.controller.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
