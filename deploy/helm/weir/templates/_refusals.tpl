{{/* Values that cannot be honoured: all of them at once, before anything is installed. */}}
{{- define "weir.refuse" -}}
{{- $c := .Values.controller -}}
{{- $no := list -}}
{{- if $c.hostNetwork -}}
{{- $no = append $no "controller.hostNetwork: weir takes nothing of its node. controller.hostPort.enabled leads ports of the node to it." -}}
{{- end -}}
{{- if $c.shareProcessNamespace -}}
{{- $no = append $no "controller.shareProcessNamespace: weir takes no signals of other containers; logs go to the standard output." -}}
{{- end -}}
{{- if .Values.tcp -}}{{- $no = append $no "tcp: weir speaks HTTP only." -}}{{- end -}}
{{- if .Values.udp -}}{{- $no = append $no "udp: weir speaks HTTP only." -}}{{- end -}}
{{- if or $c.service.nodePorts.tcp $c.service.nodePorts.udp -}}
{{- $no = append $no "controller.service.nodePorts.tcp and .udp: weir speaks HTTP only." -}}
{{- end -}}
{{- if dig "configMapName" "" (default dict $c.customTemplate) -}}
{{- $no = append $no "controller.customTemplate: there is no template; controller.config has settings." -}}
{{- end -}}
{{- if $c.extraModules -}}{{- $no = append $no "controller.extraModules: weir loads no modules." -}}{{- end -}}
{{- if dig "enabled" false (default dict $c.opentelemetry) -}}
{{- $no = append $no "controller.opentelemetry: weir sends no traces." -}}
{{- end -}}
{{- if $c.proxySetHeaders -}}
{{- $no = append $no "controller.proxySetHeaders: weir does not set headers of your choice for origins yet." -}}
{{- end -}}
{{- if $c.addHeaders -}}
{{- $no = append $no "controller.addHeaders: weir does not set headers of your choice for clients yet." -}}
{{- end -}}
{{- if dig "enabled" false (default dict $c.keda) -}}
{{- $no = append $no "controller.keda: use controller.autoscaling, or a ScaledObject of your own for the Deployment." -}}
{{- end -}}
{{- if .Values.defaultBackend.enabled -}}
{{- $no = append $no "defaultBackend: weir answers 404 itself. For a Service of yours: controller.extraArgs.default-backend-service." -}}
{{- end -}}
{{- if contains "ingress-nginx/controller" (printf "%s%s" $c.image.image $c.image.repository) -}}
{{- $no = append $no "controller.image: this is the image of ingress-nginx." -}}
{{- end -}}
{{- if $c.image.allowPrivilegeEscalation -}}
{{- $no = append $no "controller.image.allowPrivilegeEscalation: weir needs no privilege that it does not begin with." -}}
{{- end -}}
{{- if eq (toString $c.image.readOnlyRootFilesystem) "false" -}}
{{- $no = append $no "controller.image.readOnlyRootFilesystem: weir writes no files." -}}
{{- end -}}
{{- if eq (toString $c.image.runAsNonRoot) "false" -}}
{{- $no = append $no "controller.image.runAsNonRoot: weir needs not be root." -}}
{{- end -}}
{{- range $hook := list "preStop" "postStart" -}}
{{- if dig $hook "exec" "" (default dict $c.lifecycle) -}}
{{- $no = append $no (printf "controller.lifecycle.%s.exec: the image has one program, weir; controller.shutdownDelay is what /wait-shutdown was for." $hook) -}}
{{- end -}}
{{- end -}}
{{- range $c.extraEnvs -}}
{{- if dig "valueFrom" "secretKeyRef" "" . -}}
{{- $no = append $no (printf "controller.extraEnvs: %s is a secret. Secrets are files: controller.extraVolumes and extraVolumeMounts." .name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.rbac.scope (not $c.scope.enabled) -}}
{{- $no = append $no "rbac.scope: without controller.scope.enabled weir watches the whole cluster, and needs a ClusterRole." -}}
{{- end -}}
{{- if and $c.scope.enabled $c.scope.namespaceSelector -}}
{{- $no = append $no "controller.scope: one namespace, or a namespaceSelector; not both." -}}
{{- end -}}
{{- if and .Values.rbac.secretNames (not $c.scope.enabled) -}}
{{- $no = append $no "rbac.secretNames: only with controller.scope.enabled; a whole cluster's Secrets are watched as one." -}}
{{- end -}}
{{- if lt (int $c.terminationGracePeriodSeconds) (int (add $c.shutdownDelay 30)) -}}
{{- $no = append $no "controller.terminationGracePeriodSeconds: at least 30 s more than controller.shutdownDelay, or requests in flight are lost." -}}
{{- end -}}
{{- if ne (dig "httpGet" "path" "/readyz" $c.readinessProbe) "/readyz" -}}
{{- $no = append $no "controller.readinessProbe: must ask /readyz; /healthz says that weir is alive, even while it is ending." -}}
{{- end -}}
{{- if not (has (default "/healthz" $c.healthCheckPath) (list "/healthz")) -}}
{{- $no = append $no "controller.healthCheckPath: it is /healthz." -}}
{{- end -}}
{{- if and $c.metrics.prometheusRule.enabled (not $c.metrics.prometheusRule.rules) -}}
{{- $no = append $no "controller.metrics.prometheusRule: enabled, but there are no rules; deploy/prometheus has some." -}}
{{- end -}}
{{- if and (eq $c.kind "DaemonSet") $c.autoscaling.enabled -}}
{{- $no = append $no "controller.autoscaling: a DaemonSet has one pod on each node." -}}
{{- end -}}
{{- if $no -}}
{{- fail (printf "these values cannot be honoured:\n  %s" (join "\n  " $no)) -}}
{{- end -}}
{{- end -}}

{{/* Values that change nothing here, and why that does no harm. */}}
{{- define "weir.notes" -}}
{{- $c := .Values.controller -}}
{{- $notes := list -}}
{{- if $c.admissionWebhooks.enabled -}}
{{- $notes = append $notes "controller.admissionWebhooks: weir has none. What is wrong with an object is an Event on it, and hurts no other." -}}
{{- end -}}
{{- if $c.allowSnippetAnnotations -}}
{{- $notes = append $notes "controller.allowSnippetAnnotations: snippets are refused, each with a finding." -}}
{{- end -}}
{{- if eq (toString $c.enableAnnotationValidations) "false" -}}
{{- $notes = append $notes "controller.enableAnnotationValidations: annotations are always checked." -}}
{{- end -}}
{{- if $c.image.chroot -}}
{{- $notes = append $notes "controller.image.chroot: the image has nothing to hide from." -}}
{{- end -}}
{{- if .Values.dhParam -}}
{{- $notes = append $notes "dhParam: keys are agreed on by elliptic curves only." -}}
{{- end -}}
{{- if $c.maxmindLicenseKey -}}
{{- $notes = append $notes "controller.maxmindLicenseKey: weir knows no countries." -}}
{{- end -}}
{{- if or (dig "enabled" false (default dict .Values.podSecurityPolicy)) $c.existingPsp -}}
{{- $notes = append $notes "podSecurityPolicy: Kubernetes has it no more; label the namespace pod-security.kubernetes.io/enforce: restricted." -}}
{{- end -}}
{{- if eq (toString $c.enableMimalloc) "false" -}}
{{- $notes = append $notes "controller.enableMimalloc: the allocator is part of weir." -}}
{{- end -}}
{{- if or $c.tcp $c.udp -}}
{{- $notes = append $notes "controller.tcp and controller.udp: weir speaks HTTP only." -}}
{{- end -}}
{{- if $c.hostPort.enabled -}}
{{- $notes = append $notes "controller.hostPort: the namespace must admit pods with ports of the node (pod-security.kubernetes.io/enforce: privileged)." -}}
{{- end -}}
{{- if and $c.service.enabled (ne $c.service.externalTrafficPolicy "Local") (ne $c.service.type "ClusterIP") -}}
{{- $notes = append $notes "controller.service.externalTrafficPolicy: unless it is Local, a node may stand in for its clients, and then they share limits." -}}
{{- end -}}
{{- if and $c.scope.enabled (not .Values.rbac.secretNames) -}}
{{- $notes = append $notes "rbac.secretNames: weir may read all Secrets of the namespace; name those that Ingresses use." -}}
{{- end -}}
{{- if not $c.networkPolicy.enabled -}}
{{- $notes = append $notes "controller.networkPolicy: off, so every pod of the cluster can read metrics and configuration at the admin port." -}}
{{- end -}}
{{- range $notes }}
- {{ . }}
{{- end }}
{{- end -}}
