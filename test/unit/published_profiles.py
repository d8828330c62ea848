"""Runs the published cases of AWS's SDKs for profiles and metadata URLs.

The argument is a folder with profile-parser-tests.json, file-location-tests.json,
ecs-tests.json and imds-endpoint-tests.json, as the Rust SDK has them, and
optionally fuzz-seeds/, files that must be read or refused without a crash.  Of
errors the kind is compared, not the wording.
"""
import json
import os
import re
import subprocess
import sys

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       'build', 'profiles_stdin')

# Their words for a wrong profile file, and ours.
MISTAKES = {
    "Profile definition must end with ']'": "expected a ] at the end of the section's name",
    'Expected a profile definition': 'expected a section such as [profile name]',
    'Property did not have a name': 'expected a name before the "="',
    "Expected an '=' sign defining a property": 'expected "name = value"',
    "Expected an '=' sign defining a sub-property":
        'expected "name = value" below a property without a value',
    'Sub-property did not have a name':
        'expected "name = value" below a property without a value',
    'Expected a property definition, found continuation':
        'expected a property, not an indented line',
}
KINDS = {'profiles': 'profile', 'sso_sessions': 'sso-session',
         'services': 'services'}


class Skip(Exception):
    pass


def ask(*question):
    """The answer's fields; None stands for an absent one."""
    data = b''
    for field in question:
        if field is None:
            data += b'-:'
        else:
            field = field if isinstance(field, bytes) else field.encode()
            data += b'%d:%s' % (len(field), field)
    out = subprocess.run([PROGRAM], input=data, stdout=subprocess.PIPE,
                         check=True).stdout
    answer = []
    while out:
        length, out = out.split(b':', 1)
        if length == b'-':
            answer.append(None)
        else:
            answer.append(out[:int(length)].decode())
            out = out[int(length):]
    return answer


def candidates(text):
    """Every name that a section or a property of the text could have."""
    names = {'default'}
    for line in text.splitlines():
        names.add(line.partition('=')[0].strip(' \t'))
        names.add(line.strip(' \t[]'))
        names.update(re.split(r'[ \t=\[\]#;]+', line))
    return names


def profile_parser(case):
    files = [case['input'].get('configFile'),
             case['input'].get('credentialsFile')]
    want = case['output']
    if 'errorContaining' in want:
        answer = ask('profiles', *files)
        ours = MISTAKES.get(want['errorContaining'], 'an error not known here')
        return answer[0] == 'refused' and answer[1].endswith(ours), answer

    # What is wanted, and no other name that the files could have given.
    queries = {}
    for theirs, kind in KINDS.items():
        if theirs == 'services' and theirs not in want['config']:
            continue
        sections = want['config'].get(theirs, {})
        names = candidates('\n'.join(filter(None, files)))
        names.update(sections)
        for section in names:
            there = sections.get(section)
            queries[kind, section, None] = None if there is None else ''
            for name in names | set(there or {}):
                queries[kind, section, name] = (there or {}).get(name.lower())
    answer = ask('profiles', *files, *[f for q in queries for f in q])
    wrong = [(q, want, got)
             for (q, want), got in zip(queries.items(), answer[1:])
             if want != got]
    return answer[0] == 'ok' and not wrong, wrong or answer


def file_location(case):
    if case['platform'] == 'windows':
        raise Skip('a Windows case')
    env = case['environment']
    answer = ask('paths', env.get('AWS_CONFIG_FILE'),
                 env.get('AWS_SHARED_CREDENTIALS_FILE'), env.get('HOME'),
                 env.get('AWS_PROFILE'))
    want = ['ok', case['configLocation'], case['credentialsLocation'],
            case.get('profile', 'default')]
    return answer == want, answer


def container(case):
    env = case['env']
    answer = ask('container', env.get('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'),
                 env.get('AWS_CONTAINER_CREDENTIALS_FULL_URI'))
    want = case['result']
    if 'Ok' in want:
        return answer == ['ok', want['Ok']], answer
    if 'No environment variables' in want['ErrorContains']:
        return answer == ['unset'], answer
    return answer[0] == 'refused', answer


def instance(case):
    profile = {}
    file = case['env'].get('AWS_CONFIG_FILE')
    if file is not None:
        names = ['ec2_metadata_service_endpoint',
                 'ec2_metadata_service_endpoint_mode']
        queries = [f for n in names for f in ('profile', 'default', n)]
        answer = ask('profiles', case['fs'].get(file), None, *queries)
        profile = dict(zip(names, answer[1:]))
    answer = ask('instance', case.get('endpoint_override'),
                 case.get('mode_override'),
                 case['env'].get('AWS_EC2_METADATA_SERVICE_ENDPOINT'),
                 case['env'].get('AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE'),
                 profile.get('ec2_metadata_service_endpoint'),
                 profile.get('ec2_metadata_service_endpoint_mode'))
    want = case['result']
    if 'Ok' in want:
        return answer == ['ok', want['Ok'][:-len('/latest/api/token')]], answer
    return answer[0] == 'refused', answer


def seed(data):
    """Read, or refused with a line: as either file."""
    answers = [ask('profiles', data, None), ask('profiles', None, data)]
    return all(a == ['ok'] or re.match(r'\w+ file, line \d+: ', a[1])
               for a in answers), answers


def cases_in(folder):
    for name, run in [('profile-parser-tests.json', profile_parser),
                      ('file-location-tests.json', file_location),
                      ('ecs-tests.json', container),
                      ('imds-endpoint-tests.json', instance)]:
        with open(os.path.join(folder, name)) as f:
            for case in json.load(f)['tests']:
                yield '%s: %s' % (name, case.get('name') or case['docs']), run, case
    for path, _, names in sorted(os.walk(os.path.join(folder, 'fuzz-seeds'))):
        for name in sorted(names):
            with open(os.path.join(path, name), 'rb') as f:
                yield os.path.relpath(f.name, folder), seed, f.read()


def main():
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    for n, (name, run, case) in enumerate(cases_in(sys.argv[1]), 1):
        try:
            passed, got = run(case)
        except Skip as reason:
            counts['skipped'] += 1
            print('ok %d - %s # SKIP %s' % (n, name, reason))
            continue
        counts['passed' if passed else 'failed'] += 1
        print('%s %d - %s' % ('ok' if passed else 'not ok', n, name))
        if not passed:
            print('# got %r' % (got,))
    print('%(passed)d passed, %(failed)d failed, %(skipped)d skipped' % counts)
    return counts['failed'] > 0 or counts['passed'] == 0


sys.exit(main())
