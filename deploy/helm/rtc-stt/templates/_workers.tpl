{{/* The pod of a node of Ray's cluster. Gets {root, role: workers, node: head or worker}. */}}
{{- define "rtc-stt.rayPod" -}}
{{- $values := .root.Values -}}
{{- $it := $values.workers -}}
{{- $head := eq .node "head" -}}
{{- $scales := gt (int $it.nodes.max) (int $it.nodes.min) -}}
{{- if not (and $head $scales) }}
serviceAccountName: {{ include "rtc-stt.fullname" .root }}
automountServiceAccountToken: false
{{- end }}
enableServiceLinks: false
# Replicas answer what they have before they go.
terminationGracePeriodSeconds: {{ add (int (ceil $values.drainSeconds)) 20 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with $values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $it.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if not $head }}
{{- if and $it.gpu $values.gpu.runtimeClassName }}
runtimeClassName: {{ $values.gpu.runtimeClassName }}
{{- end }}
{{- with include "rtc-stt.fetch" . | trim }}
initContainers:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
containers:
  - {{ include "rtc-stt.rayContainer" . | nindent 4 | trim }}
volumes:
  {{- if not $head }}
  {{- include "rtc-stt.volumes" . | nindent 2 }}
  {{- end }}
  - name: tmp
    emptyDir: { sizeLimit: 2Gi }
  # Ray's object store; hardly anything of ours is in it.
  - name: shm
    emptyDir: { medium: Memory, sizeLimit: 512Mi }
{{- if not $head }}
{{- with $it.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $it.tolerations (ternary $values.gpu.tolerations list $it.gpu) }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $it.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints: {{- include "rtc-stt.raySpread" . | trim | nindent 2 }}
{{- end }}
{{- end }}

{{/* Its container. KubeRay puts the command before it. */}}
{{- define "rtc-stt.rayContainer" -}}
{{- $values := .root.Values -}}
{{- $it := $values.workers -}}
{{- $head := eq .node "head" -}}
{{- $resources := deepCopy (ternary $it.head.resources $it.resources $head) -}}
{{- if and $it.gpu (not $head) -}}
{{- $_ := set $resources "limits" (merge (dict $values.gpu.resource 1) (default dict $resources.limits)) -}}
{{- end -}}
name: ray-{{ .node }}
image: {{ include "rtc-stt.image" . | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
{{- if $head }}
ports:
  - { name: gcs-server, containerPort: 6379, protocol: TCP }
  - { name: dashboard, containerPort: 8265, protocol: TCP }
  - { name: serve, containerPort: 8000, protocol: TCP }
{{- end }}
env:
  - { name: HOME, value: /tmp }
  # Of replicas and of the directory; it is in no argument and no configuration of Ray.
  - name: WORKERS_KEY
    valueFrom: { secretKeyRef: { name: {{ include "rtc-stt.secret" .root }}, key: WORKERS_KEY } }
resources: {{- toYaml $resources | nindent 2 }}
# Ours in place of KubeRay's, which need wget. Ray Serve looks after the replicas.
{{- $url := ternary "http://127.0.0.1:8265/api/gcs_healthz" "http://127.0.0.1:52365/api/local_raylet_healthz" $head }}
{{- range $probe, $failures := dict "startupProbe" 60 "readinessProbe" 3 "livenessProbe" (div (add $values.probes.livenessSeconds 9) 10) }}
{{ $probe }}:
  exec: { command: [python, -m, rtc_stt.health, {{ $url | quote }}] }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: {{ $failures }}
{{- end }}
securityContext: {{- include "rtc-stt.confined" . | nindent 2 }}
volumeMounts:
  {{- if not $head }}
  - { name: models, mountPath: /models, readOnly: true }
  {{- end }}
  - { name: tmp, mountPath: /tmp }
  - { name: shm, mountPath: /dev/shm }
{{- end }}

{{/* Over zones and nodes; of Ray's pods no template has a hash. */}}
{{- define "rtc-stt.raySpread" -}}
{{- $hard := eq .root.Values.workers.spread "hard" -}}
{{- range $key, $when := dict "topology.kubernetes.io/zone" (ternary "DoNotSchedule" "ScheduleAnyway" $hard) "kubernetes.io/hostname" "ScheduleAnyway" }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: {{ $when }}
  labelSelector:
    matchLabels: {{- include "rtc-stt.selector" $ | nindent 6 }}
{{- end }}
{{- end }}

{{/* What Ray Serve is to run: what rtc-stt workers deploy would tell it. */}}
{{- define "rtc-stt.serveConfig" -}}
{{- $it := .Values.workers -}}
{{- $config := $it.config -}}
{{- $calls := int (default 1 (get $config "MAX_CONCURRENCY")) -}}
{{- $threads := int (default 1 (get $config "CPU_THREADS")) -}}
proxy_location: EveryNode
http_options: { host: 0.0.0.0, port: 8000 }
applications:
  - name: rtc-stt
    route_prefix: /replicas
    import_path: rtc_stt.ray_serve:build
    args:
      tiers:
        {{- range $tier, $model := dict "fast" "small" "accurate" "medium" }}
        {{- $one := index $it $tier }}
        {{- if gt (int $one.max) 0 }}
        {{ $tier }}:
          path: /models/{{ $model }}
          beam_size: {{ ternary 1 (int (default 5 (get $config "BEAM_SIZE"))) (eq $tier "fast") }}
          context_policy: {{ default "padded" (get $config "CONTEXT_POLICY") }}
          compute_type: {{ default "default" (get $config "COMPUTE_TYPE") }}
          cpu_threads: {{ $threads }}
          calls: {{ $calls }}
          max_batch: {{ int (default 8 (get $config "MAX_BATCH")) }}
          hang_s: {{ default 10 (get $config "DECODE_HANG_S") }}
          device: {{ ternary "cuda" "cpu" (gt (float64 $one.gpus) 0.0) }}
          ports: {{ $it.ports | quote }}
          drain_s: {{ $.Values.drainSeconds }}
        {{- end }}
        {{- end }}
    deployments:
      {{- range $tier := list "fast" "accurate" }}
      {{- $one := index $it $tier }}
      {{- if gt (int $one.max) 0 }}
      - name: {{ $tier }}
        ray_actor_options:
          num_cpus: {{ ternary 1 (mul $calls $threads) (gt (float64 $one.gpus) 0.0) }}
          num_gpus: {{ $one.gpus }}
        graceful_shutdown_timeout_s: {{ add (int (ceil $.Values.drainSeconds)) 5 }}
        # Of a rolling update: so many more than there are, while it lasts.
        max_surge_percent: {{ ternary 0 25 (eq (toString (get $config "UPDATE_SURGE")) "false") }}
        autoscaling_config:
          min_replicas: {{ $one.min }}
          max_replicas: {{ $one.max }}
          # Seconds of audio that may wait for each.
          target_ongoing_requests: {{ default 2 (get $config "SCALE_UP_AUDIO_S") }}
          downscale_delay_s: {{ default 300 (get $config "SCALE_DOWN_AFTER_S") }}
          look_back_period_s: 10
          policy: { policy_function: "rtc_stt.replicas.scaling:queue_policy" }
      {{- end }}
      {{- end }}
{{- end }}
